import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ResultBox } from "../../web/js/result_box.js";
import { resultsOfRun } from "../../web/js/results.js";
import { useLocale } from "../../web/js/words.js";
import { texts } from "./browser.js";

let box;

beforeEach(() => {
  box = new ResultBox();
  document.body.append(box.element);
});

afterEach(() => {
  document.body.replaceChildren();
  mock.timers.reset();
});

function show(...entries) {
  box.show(resultsOfRun(entries));
}

function press(name) {
  box.element.querySelector(`.interrogator-${name}`).click();
}

test("an empty box says how to fill it", () => {
  assert.equal(box.isEmpty, true);
  assert.deepEqual(texts(box.element, ".interrogator-hint"), ["Run this node to see what it finds."]);
  assert.ok(box.element.classList.contains("interrogator-empty"));
});

test("a box speaks the language of the page", () => {
  useLocale(() => "ja");
  try {
    show({ text: "a cat", caption: "cat" });
    assert.deepEqual(texts(box.element, ".interrogator-copy"), ["コピー"]);
    assert.deepEqual(texts(box.element, ".interrogator-label"), ["キャプション"]);
  } finally {
    useLocale(() => undefined);
  }
});

test("a result is shown with its parts", () => {
  show({ text: "a cat, watercolor", caption: "a cat", negative: "blurry", similarity: 0.25 });
  assert.equal(box.isEmpty, false);
  assert.ok(!box.element.classList.contains("interrogator-empty"));
  assert.deepEqual(texts(box.element, ".interrogator-text"), ["a cat, watercolor"]);
  assert.deepEqual(texts(box.element, ".interrogator-line"), ["Caption a cat", "Negative blurry"]);
  assert.deepEqual(texts(box.element, ".interrogator-similarity"), ["Similarity 0.250"]);
  assert.equal(box.element.querySelector(".interrogator-pager"), null, "one image needs no pager");
});

test("a caption that is the whole text is not said twice", () => {
  show({ text: "a cat", caption: "a cat" });
  assert.deepEqual(texts(box.element, ".interrogator-text"), ["a cat"]);
  assert.deepEqual(texts(box.element, ".interrogator-line"), []);
});

const HOSTILE = `<img src=x onerror="alert(1)"><script>alert(2)</script>&amp;"'`;

test("markup in a result stays text, wherever it stands", () => {
  const phrase = { text: HOSTILE, bank: HOSTILE, similarity: 0.2 };
  show({ text: HOSTILE, caption: `${HOSTILE}.`, negative: HOSTILE, similarity: 0.2, phrases: [phrase] }, {});
  for (const tag of ["img", "script"]) assert.equal(box.element.querySelector(tag), null, tag);
  assert.deepEqual(texts(box.element, ".interrogator-text"), [HOSTILE]);
  assert.deepEqual(texts(box.element, ".interrogator-line"), [`Caption ${HOSTILE}.`, `Negative ${HOSTILE}`]);
  assert.deepEqual(texts(box.element, ".interrogator-phrase"), [HOSTILE]);
  assert.deepEqual(texts(box.element, ".interrogator-bank"), [HOSTILE]);
});

test("the most similar phrase fills the width, one that is opposed to the image none of it", () => {
  const phrases = [0.4, 0.1, -0.2].map((similarity, index) => ({ text: `phrase ${index}`, bank: "", similarity }));
  show({ text: "words of its own", phrases });
  const widths = [...box.element.querySelectorAll(".interrogator-fill")].map((fill) => fill.style.width);
  assert.deepEqual(widths, ["100%", "25%", "0%"]);
  assert.deepEqual(texts(box.element, ".interrogator-number"), ["0.400", "0.100", "-0.200"]);
});

test("phrases that are all opposed to the image have bars without length", () => {
  show({ phrases: [{ text: "x", similarity: -0.1 }, { text: "y" }] });
  const widths = [...box.element.querySelectorAll(".interrogator-fill")].map((fill) => fill.style.width);
  assert.deepEqual(widths, ["0%", "0%"]);
});

test("a text that lists the phrases is shown as bars alone", () => {
  const phrases = [
    { text: "oil", similarity: 0.2 },
    { text: "ink", similarity: 0.1 },
  ];
  show({ text: "oil\nink", phrases });
  assert.deepEqual(texts(box.element, ".interrogator-text"), []);
  show({ text: "oil, ink", phrases });
  assert.deepEqual(texts(box.element, ".interrogator-text"), ["oil, ink"]);
});

test("the pager walks over the images and ends at both ends", () => {
  show({ text: "one" }, { text: "two" }, { text: "three" });
  const shown = () => [...texts(box.element, ".interrogator-position"), ...texts(box.element, ".interrogator-text")];
  const isDisabled = (name) => box.element.querySelector(`.interrogator-${name}`).disabled;
  assert.deepEqual(shown(), ["1 / 3", "one"]);
  assert.deepEqual([isDisabled("previous"), isDisabled("next")], [true, false]);
  press("next");
  assert.deepEqual(shown(), ["2 / 3", "two"]);
  assert.deepEqual([isDisabled("previous"), isDisabled("next")], [false, false]);
  press("next");
  assert.deepEqual(shown(), ["3 / 3", "three"]);
  assert.deepEqual([isDisabled("previous"), isDisabled("next")], [false, true]);
  press("previous");
  assert.deepEqual(shown(), ["2 / 3", "two"]);
});

test("whoever turns the page with the keyboard keeps a button to go on with", () => {
  show({ text: "one" }, { text: "two" }, { text: "three" });
  const hasFocus = (name) => document.activeElement === box.element.querySelector(`.interrogator-${name}`);
  press("next");
  assert.ok(hasFocus("next"));
  press("next");
  assert.ok(hasFocus("previous"), "there is no next image");
});

test("a new run starts at its first image", () => {
  show({ text: "one" }, { text: "two" });
  press("next");
  show({ text: "three" }, { text: "four" });
  assert.deepEqual(texts(box.element, ".interrogator-text"), ["three"]);
});

test("a box says where it keeps a part of the run", () => {
  box.show({ count: 250, results: resultsOfRun([{ text: "one" }, { text: "two" }]).results });
  assert.deepEqual(texts(box.element, ".interrogator-note"), ["Only the first 2 of 250 images are kept here."]);
});

for (const [what, writeText, answer] of [
  ["copies the text", async () => {}, "Copied"],
  ["says when it could not", () => Promise.reject(new Error("refused")), "Not copied"],
])
  test(`the copy button ${what}`, async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const copied = [];
    const clipboard = { writeText: (text) => copied.push(text) && writeText() };
    Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
    document.execCommand = () => false;
    show({ text: "one" }, { text: HOSTILE });
    press("next");
    press("copy");
    await new Promise(setImmediate); // whoever waits for the clipboard has its answer
    assert.deepEqual(copied, [HOSTILE]);
    assert.deepEqual(texts(box.element, ".interrogator-copy"), [answer]);
    mock.timers.tick(10_000);
    assert.deepEqual(texts(box.element, ".interrogator-copy"), ["Copy"]);
  });

test("there is nothing to copy where there is no text", () => {
  show({ caption: "a cat" });
  assert.equal(box.element.querySelector(".interrogator-copy"), null);
});

test("many boxes use one style sheet", () => {
  new ResultBox();
  const links = [...document.head.querySelectorAll("link")].map((link) => link.href);
  assert.equal(links.length, 1);
  assert.match(links[0], /\/web\/js\/result_box\.css$/);
});

test("what the server remarks is said in the language of the page, and nothing else it may say", () => {
  show({ text: "a cat", remarks: ["cut", "looped", "constructor", "another"] });
  const [cut, looped, ...others] = texts(box.element, ".interrogator-note");
  assert.match(cut, /last sentence/);
  assert.match(looped, /asked once more/);
  assert.deepEqual(others, []);
});

for (const [full, expected] of [
  [null, ["100%", "50%"]],
  [1, ["80%", "40%"]],
  [0.5, ["100%", "80%"]],
])
  test(`bars of which ${full} fills the width`, () => {
    const phrases = [0.8, 0.4].map((similarity) => ({ text: "red", bank: "general", similarity }));
    show({ text: "red", phrases, full });
    const fills = [...box.element.querySelectorAll(".interrogator-fill")].map((fill) => fill.style.width);
    assert.deepEqual(fills, expected);
    const { title } = box.element.querySelector(".interrogator-number");
    assert.match(title, full === null ? /^Cosine similarity/ : /likely/);
  });

test("a page says what it is of, and why there is no text", () => {
  show({ title: "<b>broken.png", failure: "broken.png: is no picture" });
  assert.deepEqual(texts(box.element, ".interrogator-title"), ["<b>broken.png"]);
  assert.deepEqual(texts(box.element, ".interrogator-failure"), ["broken.png: is no picture"]);
  assert.equal(box.element.querySelector(".interrogator-copy"), null);
});

test("a report opens beside the page, at this server's address, and cannot reach back", () => {
  const report = "/interrogator/report/input/cats/0123456789ab/report.html";
  box = new ResultBox((path) => `/base${path}`);
  show({ text: "3 captioned", report });
  const link = box.element.querySelector("a.interrogator-report");
  assert.deepEqual(
    [link.textContent, link.getAttribute("href"), link.target, link.rel],
    ["Open report", `/base${report}`, "_blank", "noopener noreferrer"],
  );
  show({ text: "a cat" });
  assert.equal(box.element.querySelector("a"), null);
});

const widths = () => [...box.element.querySelectorAll(".interrogator-fill")].map((fill) => fill.style.width);
const copiedBy = async (name) => {
  const copied = [];
  const clipboard = { writeText: async (text) => copied.push(text) };
  Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
  mock.timers.enable({ apis: ["setTimeout"] });
  press(name);
  await new Promise(setImmediate);
  return copied;
};

test("of phrases that the image lacks the most unlike fills the width", () => {
  const phrases = [0.3, 0.1, 0.2].map((similarity) => ({ text: "oil", bank: "mediums", similarity }));
  show({ text: "oil", phrases, is_negative: true });
  assert.deepEqual(widths(), ["0%", "100%", "50%"]);
  show({ text: "oil", phrases: phrases.slice(0, 1), is_negative: true });
  assert.deepEqual(widths(), ["100%"]);
});

test("how likely phrases are absent is a bar as it is", () => {
  show({ text: "oil", phrases: [{ text: "oil", similarity: 0.9 }], is_negative: true, full: 1 });
  assert.deepEqual(widths(), ["90%"]);
  assert.match(box.element.querySelector(".interrogator-number").title, /lacks/);
});

test("bars that are not drawn are counted, and a ranking is not told twice", () => {
  const lines = Array.from({ length: 100 }, (_, index) => `phrase ${index}`);
  show({ text: lines.join("\n"), phrases: lines.map((text) => ({ text, similarity: 0.1 })) });
  assert.deepEqual(texts(box.element, ".interrogator-text"), []);
  assert.deepEqual(texts(box.element, ".interrogator-note"), ["Bars of the first 64 of 100; the outputs have all."]);
});

test("a caption that was cut to the context is said", () => {
  show({ text: "a cat", remarks: ["shortened"] });
  assert.match(texts(box.element, ".interrogator-note")[0], /longer than the CLIP model can read/);
});

test("any of thirty images is one press away", () => {
  show(...Array.from({ length: 30 }, (_, index) => ({ text: `text ${index + 1}` })));
  const jumps = [...box.element.querySelectorAll(".interrogator-jump")];
  assert.equal(jumps.length, 30);
  jumps[28].click();
  assert.deepEqual(texts(box.element, ".interrogator-text"), ["text 29"]);
  assert.deepEqual(texts(box.element, ".interrogator-position"), ["29 / 30"]);
  const current = box.element.querySelectorAll(".interrogator-jump[aria-current]");
  assert.deepEqual(
    [...current].map((jump) => jump.textContent),
    ["29"],
  );
  assert.equal(document.activeElement, current[0]);
});

test("one image needs no row of buttons", () => {
  show({ text: "one" });
  assert.equal(box.element.querySelector(".interrogator-strip"), null);
});

test("a button shows its image, or its number where there is none any more", () => {
  show({ text: "one", thumbnail: "0123456789ab_1.webp", title: "cat.png" }, { text: "two" });
  const [first, second] = box.element.querySelectorAll(".interrogator-jump");
  const picture = first.querySelector("img");
  assert.match(picture.getAttribute("src"), /view\?type=temp&subfolder=interrogator&filename=0123456789ab_1\.webp$/);
  assert.deepEqual([first.title, second.title], ["cat.png", "Image 2"]);
  picture.dispatchEvent(new window.Event("error"));
  assert.equal(first.querySelector("img"), null);
  assert.equal(first.textContent, "1");
});

test("the negative prompt and all prompts have a button of their own", async () => {
  show({ text: "one", negative: "blurry" }, { text: "" }, { text: "two" });
  assert.deepEqual(await copiedBy("copy-negative"), ["blurry"]);
  mock.timers.reset();
  assert.deepEqual(await copiedBy("copy-all"), ["one\ntwo"]);
});

test("braces are copied so that a widget does not pick one of what is inside", async () => {
  show({ text: "{a|b} \\{c\\} \\(d\\) [e]" });
  assert.deepEqual(await copiedBy("copy"), ["\\{a|b\\} \\{c\\} \\(d\\) [e]"]);
});
