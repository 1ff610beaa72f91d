/** The box on a node that shows the results of a run. It knows nothing about nodes and graphs. */

import { copyText } from "./clipboard.js";
import { button, element, useStyleSheet } from "./elements.js";
import { words } from "./words.js";

/** @typedef {import("./results.js").Phrase} Phrase */
/** @typedef {import("./results.js").Result} Result */
/** @typedef {import("./results.js").Results} Results */

const SAID_FOR_MS = 1500;

/** The words for what the server remarks on a result; anything else it may say is left out. */
const REMARKS = {
  cut: "cut",
  looped: "looped",
  no_tags: "noTags",
  no_claims: "noClaims",
  guessed: "guessed",
  no_phrases: "noPhrases",
  uncalibrated: "uncalibrated",
  shortened: "captionShortened",
};

/** A brace without a backslash before it. */
const BRACE = /(?<!\\)[{}]/g;

export class ResultBox {
  /** @type {Results} */
  #found = { count: 0, results: [] };
  /** The index of the shown image. */
  #index = 0;
  #addressOf;
  /** @type {HTMLElement | null} */
  #notice = null;

  /** @param {(path: string) => string} addressOf - the address of a path on this server */
  constructor(addressOf = (path) => path) {
    this.#addressOf = addressOf;
    useStyleSheet("result_box.css");
    /** @type {HTMLElement} */
    this.element = element("section", "interrogator-box");
    this.element.setAttribute("aria-label", words().results);
    this.#draw();
  }

  get isEmpty() {
    return this.#found.results.length === 0;
  }

  /**
   * Show results, starting with the first image.
   * @param {Results} found
   */
  show(found) {
    this.#found = found;
    this.#index = 0;
    this.#draw();
  }

  /**
   * Say something above the results; null says nothing.
   * @param {HTMLElement | null} notice
   */
  notify(notice) {
    this.#notice = notice;
    this.#draw();
  }

  get hasNotice() {
    return this.#notice !== null;
  }

  #draw() {
    this.element.classList.toggle("interrogator-empty", this.isEmpty && !this.hasNotice);
    // The content lies over the element and does not affect its size: a long prompt scrolls and never makes the node
    // taller.
    this.element.replaceChildren(element("div", "interrogator-content", ...this.#content()));
  }

  #content() {
    const notice = this.hasNotice ? [this.#notice] : [];
    if (!this.isEmpty) return [...notice, this.#toolbar(), ...this.#strips(), this.#page()];
    return this.hasNotice ? notice : [element("p", "interrogator-hint", words().hint)];
  }

  #toolbar() {
    const { similarity, report } = this.#result;
    const bar = element("div", "interrogator-toolbar");
    if (this.#found.results.length > 1) bar.append(this.#pager());
    if (similarity !== null) bar.append(similarityLine(similarity));
    if (report) bar.append(reportLink(this.#addressOf(report)));
    bar.append(this.#copyButtons());
    return bar;
  }

  /** The whole run has a button where there is more than one image, the negative prompt where there is one. */
  #copyButtons() {
    const { text, negative } = this.#result;
    const texts = this.#found.results.map((result) => result.text).filter(Boolean);
    const buttons = element("span", "interrogator-copies");
    if (text) buttons.append(copyButton(text, words().copy));
    if (negative) buttons.append(copyButton(negative, words().copyNegative, "interrogator-copy-negative"));
    if (texts.length > 1) buttons.append(copyButton(texts.join("\n"), words().copyAll, "interrogator-copy-all"));
    return buttons;
  }

  #pager() {
    const { length } = this.#found.results;
    const previous = button("interrogator-button interrogator-previous", "‹", words().previous, () => this.#turn(-1));
    const next = button("interrogator-button interrogator-next", "›", words().next, () => this.#turn(1));
    previous.disabled = this.#index === 0;
    next.disabled = this.#index === length - 1;
    const position = element("span", "interrogator-position", `${this.#index + 1} / ${length}`);
    position.setAttribute("aria-live", "polite");
    return element("span", "interrogator-pager", previous, position, next);
  }

  /** A row with a button for each of several images, and a small picture on it where there is one. */
  #strips() {
    if (this.#found.results.length < 2) return [];
    const buttons = this.#found.results.map((result, index) => {
      const name = result.title || words().image.replace("{number}", String(index + 1));
      const jump = button("interrogator-jump", String(index + 1), name, () => this.#jump(index));
      if (index === this.#index) jump.setAttribute("aria-current", "true");
      if (result.thumbnail) jump.prepend(this.#picture(result.thumbnail));
      return jump;
    });
    const strip = element("div", "interrogator-strip", ...buttons);
    strip.dataset.captureWheel = "true";
    return [strip];
  }

  #picture(name) {
    const picture = element("img", "interrogator-thumbnail");
    picture.alt = "";
    picture.loading = "lazy";
    // ComfyUI empties its temp folder when it starts.
    picture.addEventListener("error", () => picture.remove());
    picture.src = this.#addressOf(`/view?type=temp&subfolder=interrogator&filename=${encodeURIComponent(name)}`);
    return picture;
  }

  #jump(index) {
    const scrolled = this.element.querySelector(".interrogator-strip").scrollTop;
    this.#index = index;
    this.#draw();
    const strip = this.element.querySelector(".interrogator-strip");
    strip.scrollTop = scrolled;
    strip.children[index].focus({ preventScroll: true });
  }

  /** Turning the page redraws everything; the pressed button keeps the keyboard focus. */
  #turn(step) {
    this.#index += step;
    this.#draw();
    const [previous, next] = ["previous", "next"].map((name) => this.element.querySelector(`.interrogator-${name}`));
    const [pressed, other] = step > 0 ? [next, previous] : [previous, next];
    (pressed.disabled ? other : pressed).focus();
  }

  #page() {
    const { text, caption, negative, phrases, phraseCount, remarks, title, failure } = this.#result;
    const page = element("div", "interrogator-page");
    // With the focus, the page scrolls by arrow keys, and Nodes 2.0 leaves it the mouse wheel.
    page.tabIndex = 0;
    page.dataset.captureWheel = "true";
    if (title) page.append(element("p", "interrogator-title", title));
    if (failure) page.append(element("p", "interrogator-failure", failure));
    if (text && !isListOf(text, phrases, phraseCount)) page.append(element("p", "interrogator-text", text));
    if (caption && caption !== text) page.append(labelled(words().caption, caption));
    if (negative) page.append(labelled(words().negative, negative));
    page.append(...remarks.filter((remark) => Object.hasOwn(REMARKS, remark)).map(remarkLine));
    if (phrases.length) page.append(bars(this.#result));
    if (phraseCount > phrases.length) page.append(moreBars(phraseCount, phrases.length));
    if (this.#found.count > this.#found.results.length) page.append(firstOnes(this.#found));
    return page;
  }

  /** @returns {Result} */
  get #result() {
    return this.#found.results[this.#index];
  }
}

/** Whether the text is just the phrases, one per line, as in a ranking; the bars show that and more. */
function isListOf(text, phrases, count) {
  const listed = phrases.map((phrase) => phrase.text).join("\n");
  return phrases.length > 1 && (text === listed || (count > phrases.length && text.startsWith(`${listed}\n`)));
}

function similarityLine(similarity) {
  const line = element("span", "interrogator-similarity", `${words().similarity} ${shortNumber(similarity)}`);
  line.title = words().similarityHint;
  return line;
}

/**
 * A button that copies a text as one would type it into a widget: ComfyUI picks one of `{a|b}` there, so braces that
 * belong to the text have a backslash.
 * @param {string} text
 * @param {string} label
 * @param {string} [className]
 */
function copyButton(text, label, className = "interrogator-copy") {
  const copy = button(`interrogator-button ${className}`, label, label, async () => {
    say((await copyText(text.replace(BRACE, "\\$&"))) ? words().copied : words().notCopied);
    setTimeout(() => say(label), SAID_FOR_MS);
  });
  copy.setAttribute("aria-live", "polite");

  function say(word) {
    copy.textContent = word;
    copy.setAttribute("aria-label", word);
  }
  return copy;
}

/** The report opens beside the graph, and knows nothing of the page that it came from. */
function reportLink(address) {
  const link = element("a", "interrogator-button interrogator-report", words().openReport);
  Object.assign(link, { href: address, target: "_blank", rel: "noopener noreferrer" });
  return link;
}

function labelled(label, text) {
  return element("p", "interrogator-line", element("span", "interrogator-label", label), " ", text);
}

function remarkLine(remark) {
  return element("p", "interrogator-note", words()[REMARKS[remark]]);
}

/**
 * One bar per phrase. The most similar or most certain fills the width; of phrases that the image lacks, the most unlike.
 * @param {Result} result
 */
function bars({ phrases, full, isNegative }) {
  const numbers = phrases.map((phrase) => phrase.similarity);
  const [least, largest] = [Math.min(...numbers), full ?? Math.max(...numbers)];
  const isUnlike = isNegative && full === null;
  const meaning = full === null ? words().similarityHint : isNegative ? words().absenceHint : words().probabilityHint;
  const share = (number) => {
    if (isUnlike) return largest > least ? (largest - number) / (largest - least) : 1;
    return largest > 0 ? Math.max(number, 0) / largest : 0;
  };
  return element("ul", "interrogator-bars", ...phrases.map((phrase) => bar(phrase, share(phrase.similarity), meaning)));
}

/**
 * @param {Phrase} phrase
 * @param {number} share - of the width, from 0 to 1
 * @param {string} meaning - what the number is
 */
function bar({ text, bank, similarity }, share, meaning) {
  const number = element("span", "interrogator-number", shortNumber(similarity));
  number.title = meaning;
  const fill = element("span", "interrogator-fill");
  fill.style.width = `${Math.min(Math.round(share * 100), 100)}%`;
  return element(
    "li",
    "interrogator-bar",
    element("span", "interrogator-phrase", text),
    element("span", "interrogator-bank", bank),
    number,
    element("span", "interrogator-track", fill),
  );
}

function moreBars(count, shown) {
  const sentence = words().moreBars.replace("{shown}", String(shown)).replace("{count}", String(count));
  return element("p", "interrogator-note", sentence);
}

/** @param {Results} found */
function firstOnes({ count, results }) {
  const sentence = words().firstOnes.replace("{kept}", String(results.length)).replace("{count}", String(count));
  return element("p", "interrogator-note", sentence);
}

function shortNumber(similarity) {
  return similarity.toFixed(3);
}
