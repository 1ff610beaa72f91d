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
};

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
    if (!this.isEmpty) return [...notice, this.#toolbar(), this.#page()];
    return this.hasNotice ? notice : [element("p", "interrogator-hint", words().hint)];
  }

  #toolbar() {
    const { text, similarity, report } = this.#result;
    const bar = element("div", "interrogator-toolbar");
    if (this.#found.results.length > 1) bar.append(this.#pager());
    if (similarity !== null) bar.append(similarityLine(similarity));
    if (report) bar.append(reportLink(this.#addressOf(report)));
    if (text) bar.append(copyButton(text));
    return bar;
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

  /** Turning the page redraws everything; the pressed button keeps the keyboard focus. */
  #turn(step) {
    this.#index += step;
    this.#draw();
    const [previous, next] = ["previous", "next"].map((name) => this.element.querySelector(`.interrogator-${name}`));
    const [pressed, other] = step > 0 ? [next, previous] : [previous, next];
    (pressed.disabled ? other : pressed).focus();
  }

  #page() {
    const { text, caption, negative, phrases, full, remarks, title, failure } = this.#result;
    const page = element("div", "interrogator-page");
    // With the focus, the page scrolls by arrow keys, and Nodes 2.0 leaves it the mouse wheel.
    page.tabIndex = 0;
    page.dataset.captureWheel = "true";
    if (title) page.append(element("p", "interrogator-title", title));
    if (failure) page.append(element("p", "interrogator-failure", failure));
    if (text && !isListOf(text, phrases)) page.append(element("p", "interrogator-text", text));
    if (caption && caption !== text) page.append(labelled(words().caption, caption));
    if (negative) page.append(labelled(words().negative, negative));
    page.append(...remarks.filter((remark) => Object.hasOwn(REMARKS, remark)).map(remarkLine));
    if (phrases.length) page.append(bars(phrases, full));
    if (this.#found.count > this.#found.results.length) page.append(firstOnes(this.#found));
    return page;
  }

  /** @returns {Result} */
  get #result() {
    return this.#found.results[this.#index];
  }
}

/** Whether the text is just the phrases, one per line, as in a ranking; the bars show that and more. */
function isListOf(text, phrases) {
  return phrases.length > 1 && text === phrases.map((phrase) => phrase.text).join("\n");
}

function similarityLine(similarity) {
  const line = element("span", "interrogator-similarity", `${words().similarity} ${shortNumber(similarity)}`);
  line.title = words().similarityHint;
  return line;
}

function copyButton(text) {
  const copy = button("interrogator-button interrogator-copy", words().copy, words().copy, async () => {
    say((await copyText(text)) ? words().copied : words().notCopied);
    setTimeout(() => say(words().copy), SAID_FOR_MS);
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
 * One bar per phrase.
 * @param {Phrase[]} phrases
 * @param {number | null} full - what fills the width; the most similar phrase if null
 */
function bars(phrases, full) {
  const largest = full ?? Math.max(...phrases.map((phrase) => phrase.similarity));
  const meaning = full === null ? words().similarityHint : words().probabilityHint;
  return element("ul", "interrogator-bars", ...phrases.map((phrase) => bar(phrase, largest, meaning)));
}

/**
 * @param {Phrase} phrase
 * @param {number} largest
 * @param {string} meaning - what the number is
 */
function bar({ text, bank, similarity }, largest, meaning) {
  const share = largest > 0 ? Math.max(similarity, 0) / largest : 0;
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

/** @param {Results} found */
function firstOnes({ count, results }) {
  const sentence = words().firstOnes.replace("{kept}", String(results.length)).replace("{count}", String(count));
  return element("p", "interrogator-note", sentence);
}

function shortNumber(similarity) {
  return similarity.toFixed(3);
}
