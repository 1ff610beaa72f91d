/** The report page as a browser has it: the real page and script, with data in them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, mock, test } from "node:test";
import vm from "node:vm";
import { newWindow, texts } from "./browser.js";

const PARTS = new URL("../../interrogator/dataset/review/report/", import.meta.url);
const SCRIPT = new URL("page.js", PARTS);
const start = vm.compileFunction(readFileSync(SCRIPT, "utf8"), ["document"], { filename: SCRIPT.href });

const RUN = {
  title: "Captions of animals",
  folder: "thumbnails",
  statuses: { captioned: 2, failed: 1 },
  findings: [],
  reasons: {},
  scores: {},
  settings: {},
};
const RECORDS = [
  { key: "b10.png", status: "captioned", caption: "a cat on a mat", number: 1002, scores: { clip: 0.2 } },
  { key: "b9.png", status: "captioned", caption: "A DOG", flags: ["too_short"], scores: { clip: 0.3 } },
  { key: "a.png", status: "failed", reason: "broken file" },
];

let document;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

function open(records = RECORDS, run = {}) {
  const values = {
    ...{ style: "", script: "", style_hash: "", script_hash: "" },
    run: data({ ...RUN, total: records.length, ...run }),
    records: data(records),
  };
  const html = readFileSync(new URL("page.html", PARTS), "utf8").replace(/\$(\w+)/g, (_, name) => values[name]);
  document = newWindow().document;
  document.write(html);
  start(document);
}

/** As `page.py` writes it. */
function data(value) {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function byId(id) {
  return document.getElementById(id);
}

function keys() {
  return texts(byId("pictures"), "h3");
}

function choose(id, value) {
  byId(id).value = value;
  assert.equal(byId(id).value, value, "it can be chosen");
  dispatch(byId(id), "change");
}

function type(text) {
  byId("text").value = text;
  dispatch(byId("text"), "input");
  mock.timers.tick(1000);
}

function dispatch(target, name) {
  target.dispatchEvent(new document.defaultView.Event(name, { bubbles: true, cancelable: true }));
}

function turn(step) {
  document.querySelector(`[data-step="${step}"]`).click();
}

function many(count) {
  return Array.from({ length: count }, (_, index) => ({ key: `${index}.png`, status: "captioned", caption: "x" }));
}

test("a page has its title, counts and pictures, in the order that they came in", () => {
  open();
  assert.equal(document.title, "Captions of animals");
  assert.deepEqual(texts(byId("counts"), "li"), ["3 pictures", "2 captioned", "1 failed"]);
  assert.deepEqual(keys(), ["b10.png", "b9.png", "a.png"]);
  assert.equal(byId("shown").textContent, "3 pictures");
  assert.equal(byId("none").hidden, false);
});

test("a page of one picture counts it as one", () => {
  open([RECORDS[0]]);
  assert.equal(byId("shown").textContent, "1 picture");
});

for (const [words, found] of [
  ["cat", ["b10.png"]],
  ["dog", ["b9.png"]],
  ["B9", ["b9.png"]],
  ["too short", ["b9.png"]],
  ["broken", ["a.png"]],
  ["png  a  mat", ["b10.png"]],
  ["cat dog", []],
  ["  ", ["b10.png", "b9.png", "a.png"]],
])
  test(`the text "${words}" finds the pictures that hold each of its words`, () => {
    open();
    type(words);
    assert.deepEqual(keys(), found);
    assert.equal(byId("shown").textContent, found.length === 3 ? "3 pictures" : `${found.length} of 3 pictures`);
  });

test("whoever types is waited for", () => {
  open();
  byId("text").value = "c";
  dispatch(byId("text"), "input");
  mock.timers.tick(100);
  byId("text").value = "cat";
  dispatch(byId("text"), "input");
  mock.timers.tick(100);
  assert.equal(keys().length, 3);
  mock.timers.tick(100);
  assert.deepEqual(keys(), ["b10.png"]);
});

test("pictures are chosen by status, together with the text", () => {
  open();
  assert.deepEqual(texts(byId("status"), "option"), ["Any", "captioned", "failed"]);
  choose("status", "captioned");
  assert.deepEqual(keys(), ["b10.png", "b9.png"]);
  type("dog");
  assert.deepEqual(keys(), ["b9.png"]);
});

test("clearing the form brings all pictures back", () => {
  open();
  choose("status", "failed");
  byId("filter").reset();
  mock.timers.tick(1);
  assert.equal(keys().length, 3);
});

test("sending the form leaves the page where it is", () => {
  open();
  const event = new document.defaultView.Event("submit", { bubbles: true, cancelable: true });
  byId("filter").dispatchEvent(event);
  assert.equal(event.defaultPrevented, true);
});

const SCORES = {
  clip: { count: 2, mean: 0.25, deviation: 0.05, lowest: 0.2, fifth_percentile: 0.2, median: 0.25, highest: 0.3 },
};

for (const [order, sorted] of [
  ["worst", ["b10.png", "b9.png", "a.png"]],
  ["name", ["a.png", "b9.png", "b10.png"]],
  ["longest", ["b10.png", "b9.png", "a.png"]],
  ["shortest", ["a.png", "b9.png", "b10.png"]],
  ["low:clip", ["b10.png", "b9.png", "a.png"]],
])
  test(`pictures in the order "${order}"`, () => {
    open([RECORDS[2], RECORDS[1], RECORDS[0]].reverse(), { scores: SCORES });
    choose("order", order);
    assert.deepEqual(keys(), sorted);
  });

test("pictures without a score come after those with one, as they came in", () => {
  open(
    [
      { key: "none", status: "failed" },
      { key: "none too", status: "failed" },
      { key: "high", status: "captioned", scores: { clip: 0.3 } },
      { key: "low", status: "captioned", scores: { clip: 0.1 } },
    ],
    { scores: SCORES },
  );
  choose("order", "low:clip");
  assert.deepEqual(keys(), ["low", "high", "none", "none too"]);
});

test("sorting is undone by the order that the pictures came in", () => {
  open();
  choose("order", "name");
  choose("order", "worst");
  assert.deepEqual(keys(), ["b10.png", "b9.png", "a.png"]);
});

const TWINS = {
  id: "twins",
  title: "Same picture",
  severity: "warning",
  count: 4,
  text: "look at them",
  groups: [
    ["1", "4"],
    ["2", "3"],
  ],
};

test("a finding's button shows its pictures, those that belong together side by side, and gives them back", () => {
  const records = ["1", "2", "3", "4", "5"].map((key) => ({ key, status: "captioned", findings: ["twins"] }));
  records[4].findings = [];
  open(records, { findings: [TWINS] });
  assert.equal(byId("none").hidden, true);
  const button = byId("findings").querySelector("button");
  assert.equal(button.getAttribute("aria-pressed"), "false");
  button.click();
  assert.deepEqual(keys(), ["1", "4", "2", "3"]);
  assert.equal(byId("finding").value, "twins");
  assert.equal(button.getAttribute("aria-pressed"), "true");
  button.click();
  assert.deepEqual(keys(), ["1", "2", "3", "4", "5"]);
  assert.equal(button.getAttribute("aria-pressed"), "false");
});

test("a page holds sixty pictures, and turns at both ends no further", () => {
  open(many(130));
  const isDisabled = (step) => [...document.querySelectorAll(`[data-step="${step}"]`)].map((button) => button.disabled);
  assert.deepEqual(texts(document, ".page"), ["Page 1 of 3", "Page 1 of 3"]);
  assert.equal(keys().length, 60);
  assert.deepEqual([isDisabled(-1), isDisabled(1)], [Array(2).fill(true), Array(2).fill(false)]);
  turn(1);
  turn(1);
  assert.deepEqual(
    keys(),
    Array.from({ length: 10 }, (_, index) => `${120 + index}.png`),
  );
  assert.deepEqual([isDisabled(-1), isDisabled(1)], [Array(2).fill(false), Array(2).fill(true)]);
  turn(-1);
  assert.equal(keys()[0], "60.png");
});

test("a filter goes back to the first page", () => {
  open(many(130));
  turn(1);
  type("129");
  assert.deepEqual(keys(), ["129.png"]);
  assert.deepEqual(texts(document, ".page"), ["Page 1 of 1", "Page 1 of 1"]);
});

test("a page without pictures is one page", () => {
  open([]);
  assert.deepEqual(texts(document, ".page"), ["Page 1 of 1", "Page 1 of 1"]);
  assert.equal(byId("shown").textContent, "0 pictures");
});

const HOSTILE = `</script><img src=x onerror="alert(1)"><b>bold</b>`;

test("markup stays text, wherever it stands", () => {
  const finding = { id: "f", title: HOSTILE, severity: "warning", count: 1, text: HOSTILE, groups: [] };
  const record = {
    key: HOSTILE,
    status: "failed",
    caption: HOSTILE,
    captions: [HOSTILE, "another"],
    existing: `${HOSTILE} once`,
    reason: HOSTILE,
    flags: [HOSTILE],
    findings: ["f"],
    scores: { [HOSTILE]: 0.5 },
  };
  open([record], {
    title: HOSTILE,
    statuses: { [HOSTILE]: 1 },
    findings: [finding],
    reasons: { [HOSTILE]: 1 },
    settings: { [HOSTILE]: { inner: HOSTILE } },
  });
  assert.equal(document.querySelector("img[onerror]"), null);
  assert.deepEqual(texts(document, "b"), ["1", "1"], "the counts alone");
  assert.equal(document.title, HOSTILE);
  assert.deepEqual(keys(), [HOSTILE]);
  assert.deepEqual(texts(byId("pictures"), ".caption"), [HOSTILE]);
  assert.deepEqual(texts(byId("pictures"), "ol li"), [HOSTILE, "another"]);
  assert.deepEqual(texts(byId("pictures"), ".reason"), [HOSTILE, `${HOSTILE} once`]);
  assert.deepEqual(texts(byId("reasons"), "td"), ["1", HOSTILE]);
  assert.deepEqual(texts(byId("settings"), "dd"), [HOSTILE]);
});

test("a picture has its thumbnail: one of its own, one by number, or none", () => {
  open([{ key: "own", status: "captioned", thumbnail: "data:image/jpeg;base64,x" }, RECORDS[0], RECORDS[1]]);
  const [own, numbered, none] = document.querySelectorAll(".thumb");
  assert.equal(own.firstChild.getAttribute("src"), "data:image/jpeg;base64,x");
  assert.equal(numbered.firstChild.getAttribute("src"), "thumbnails/1/1002.jpg");
  assert.equal(none.textContent, "no thumbnail");
});

test("a thumbnail that is not there is named as missing", () => {
  open([RECORDS[0]]);
  dispatch(document.querySelector(".thumb img"), "error");
  assert.deepEqual(texts(document, ".thumb"), ["no thumbnail"]);
});

test("a long caption is folded until somebody asks for it", () => {
  open([
    { key: "long", status: "captioned", caption: "x".repeat(401) },
    { key: "short", status: "captioned", caption: "x".repeat(400) },
  ]);
  const [long, short] = document.querySelectorAll(".picture");
  const button = long.querySelector(".more");
  assert.equal(short.querySelector(".more"), null);
  button.click();
  assert.ok(long.classList.contains("open"));
  assert.deepEqual([button.textContent, button.getAttribute("aria-expanded")], ["Show less", "true"]);
  button.click();
  assert.ok(!long.classList.contains("open"));
});

test("a caption without words is named, a failed picture has none", () => {
  open([{ key: "empty", status: "captioned", caption: "" }, RECORDS[2]]);
  assert.deepEqual(texts(byId("pictures"), ".caption"), ["empty caption"]);
});

test("tags are listed with their probabilities, and found by the text filter", () => {
  open([
    {
      ...RECORDS[0],
      tags: [
        ["solo", 0.987],
        ["cat_ears", 0.5],
      ],
    },
    { ...RECORDS[1], tags: [["1girl", 0.9]] },
  ]);
  const [two, one] = document.querySelectorAll(".picture details");
  assert.deepEqual([...texts(two, "summary"), ...texts(two, "li")], ["2 tags", "solo 0.99", "cat_ears 0.50"]);
  assert.deepEqual(texts(one, "summary"), ["1 tag"]);
  byId("text").value = "CAT_EARS";
  byId("text").dispatchEvent(new document.defaultView.Event("input"));
  mock.timers.tick(1000);
  assert.deepEqual(keys(), [RECORDS[0].key]);
});

test("settings within settings are listed by their whole name", () => {
  open(RECORDS, { settings: { preset: "demo", captioner: { max_tokens: 20, empty: {} }, list: [1, 2] } });
  assert.deepEqual(texts(byId("settings"), "dt"), ["preset", "captioner › max tokens", "captioner › empty", "list"]);
  assert.deepEqual(texts(byId("settings"), "dd"), ["demo", "20", "{}", "[1,2]"]);
});

test("scores are shown in figures, and can be sorted by", () => {
  open(RECORDS, { scores: SCORES });
  const figures = ["2", "0.250", "0.050", "0.200", "0.200", "0.250", "0.300"];
  assert.deepEqual(texts(byId("scores"), "td"), figures);
  assert.equal(byId("scores-box").hidden, false);
  assert.equal(texts(byId("order"), "option").at(-1), "Lowest clip score");
});

test("tags are counted, and a run without any says nothing of them", () => {
  open(RECORDS, {
    tags: [
      { text: "long hair", category: "general", count: 1200 },
      { text: HOSTILE, category: "character", count: 1 },
    ],
  });
  assert.deepEqual(texts(byId("tags"), "th"), ["long hair", HOSTILE]);
  assert.deepEqual(texts(byId("tags"), "td"), ["general", "1,200", "character", "1"]);
  assert.equal(byId("tags-box").hidden, false);
  open(RECORDS);
  assert.equal(byId("tags-box").hidden, true);
});

test("what all pictures share is a table, and what one has of its own stands beside it", () => {
  const own = [{ ...RECORDS[0], distinctive: ["red wings", HOSTILE] }, ...RECORDS.slice(1)];
  open(own, { common: [{ text: HOSTILE, bank: "mediums", share: 0.975 }] });
  assert.deepEqual(texts(byId("common"), "th"), [HOSTILE]);
  assert.deepEqual(texts(byId("common"), "td"), ["mediums", "98 %"]);
  assert.equal(byId("common-box").hidden, false);
  assert.ok(texts(byId("pictures"), "li").includes("red wings"));
  open(RECORDS);
  assert.equal(byId("common-box").hidden, true);
  assert.ok(!texts(byId("pictures"), "summary").includes("Its own"));
});

test("the texts of several encoders can be opened", () => {
  open([{ ...RECORDS[0], texts: { clip_l: HOSTILE, t5xxl: "A cat." } }]);
  assert.deepEqual(texts(byId("pictures"), "dt"), ["clip_l", "t5xxl"]);
  assert.deepEqual(texts(byId("pictures"), "dd"), [HOSTILE, "A cat."]);
  assert.ok(texts(byId("pictures"), "summary").includes("2 encoders"));
});

test("a page says that it holds a part of the run", () => {
  open(RECORDS, { total: 12_000 });
  assert.equal(byId("left-out").hidden, false);
  assert.match(byId("left-out").textContent, /^This page shows the 3 pictures that most need a look, out of 12,000\./);
});

test("words that the picture does not support are marked, and the worst captions come first", () => {
  const finding = { id: "unsupported", title: "Claims", severity: "warning", text: "", count: 2, keys: [], groups: [] };
  const records = [
    { key: "a.png", status: "done", caption: "A Red cat on a mat", unsupported: ["a red cat", "on a roof"] },
    { key: "b.png", status: "done", caption: "a dog with <b>wings</b>, a hat", unsupported: ["<b>wings</b>", "a dog"] },
    { key: "c.png", status: "done", caption: "a bird" },
  ].map((record, index) => ({ ...record, findings: ["unsupported"], scores: { evidence: 0.3 - index / 10 } }));
  open(records, { findings: [finding], scores: {} });
  assert.deepEqual(texts(byId("pictures"), "mark"), ["A Red cat", "a dog", "<b>wings</b>"]);
  assert.deepEqual(
    texts(byId("pictures"), ".caption"),
    records.map((record) => record.caption),
  );
  assert.equal(byId("pictures").querySelector("b"), null);
  choose("finding", "unsupported");
  assert.deepEqual(keys(), ["c.png", "b.png", "a.png"]);
});
