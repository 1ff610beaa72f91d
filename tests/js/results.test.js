import assert from "node:assert/strict";
import { test } from "node:test";
import { resultsOfRun, resultsOfWorkflow } from "../../web/js/results.js";

const NOTHING = {
  text: "",
  caption: "",
  negative: "",
  similarity: null,
  phrases: [],
  full: null,
  remarks: [],
  title: "",
  failure: "",
  report: "",
  isNegative: false,
  phraseCount: 0,
  thumbnail: "",
};

test("what a run found is read", () => {
  const phrase = { text: "watercolor", bank: "mediums", similarity: 0.25 };
  const words = { text: "a cat", caption: "cat", negative: "blurry" };
  const entry = {
    ...NOTHING,
    ...words,
    similarity: 0.31234567,
    phrases: [phrase],
    phraseCount: 1,
    full: 1,
    remarks: ["cut"],
  };
  assert.deepEqual(resultsOfRun([entry]), { count: 1, results: [{ ...entry, similarity: 0.3123 }] });
});

for (const output of [undefined, null, "text", 7, {}, { length: 3 }])
  test(`an output that is ${JSON.stringify(output)} holds no results`, () => {
    assert.deepEqual(resultsOfRun(output), { count: 0, results: [] });
  });

for (const entry of [
  null,
  3,
  "words",
  [],
  { text: 5, caption: {}, similarity: "0.3", phrases: "none", full: "1", remarks: 7 },
])
  test(`an entry that is ${JSON.stringify(entry)} is an empty result`, () => {
    assert.deepEqual(resultsOfRun([entry]).results, [NOTHING]);
  });

for (const similarity of [Number.NaN, Number.POSITIVE_INFINITY, null, undefined, "1"])
  test(`a similarity of ${similarity} is none`, () => {
    assert.equal(resultsOfRun([{ similarity }]).results[0].similarity, null);
    assert.equal(resultsOfRun([{ phrases: [{ text: "x", similarity }] }]).results[0].phrases[0].similarity, 0);
  });

test("a large run is cut to what a workflow may carry, and its count stays", () => {
  const phrases = Array.from({ length: 1000 }, (_, index) => ({ text: `phrase ${index}`, bank: "b", similarity: 0 }));
  const remarks = Array(100).fill("cut");
  const { count, results } = resultsOfRun(Array(250).fill({ text: "x".repeat(40_000), phrases, remarks }));
  assert.equal(count, 250);
  assert.equal(results.length, 100);
  assert.equal(results[0].phrases.length, 64);
  assert.equal(results[0].phrases[0].text, "phrase 0");
  assert.equal(results[0].text.length, 32_000);
  assert.equal(results[0].remarks.length, 8);
});

test("a workflow gives back what was kept in it", () => {
  const kept = resultsOfRun([{ text: "a cat", similarity: 0.3 }, { text: "a dog" }]);
  assert.deepEqual(resultsOfWorkflow(JSON.parse(JSON.stringify(kept))), kept);
});

test("a workflow keeps the count of a run of which it holds a part", () => {
  assert.equal(resultsOfWorkflow({ count: 250, results: [{ text: "x" }] }).count, 250);
});

for (const count of [undefined, -4, "many", Number.NaN])
  test(`a count of ${count} gives way to the number of results`, () => {
    assert.equal(resultsOfWorkflow({ count, results: [{}, {}] }).count, 2);
  });

test("a workflow that carries anything else carries no results", () => {
  for (const kept of [undefined, null, "x", { results: { 0: {} } }])
    assert.deepEqual(resultsOfWorkflow(kept), { count: 0, results: [] });
});

const REPORT = "/interrogator/report/input/my%20cats%2Fred/0123456789ab/report.html";

test("a report of this server keeps its address", () => {
  const { results } = resultsOfRun([{ report: REPORT, title: "my cats", failure: "no picture" }]);
  assert.deepEqual(results[0], { ...NOTHING, report: REPORT, title: "my cats", failure: "no picture" });
});

for (const report of [
  "https://example.com/interrogator/report/input/a/0123456789ab/report.html",
  "//example.com/interrogator/report/input/a/0123456789ab/report.html",
  "javascript:alert(1)",
  `${REPORT}?x`,
  `${REPORT}#x`,
  `\n${REPORT}`,
  REPORT.replace("input", "models"),
  REPORT.replace("report.html", "other.html"),
  REPORT.replace("0123456789ab", ".."),
  "/interrogator/report/input/a\\b/0123456789ab/report.html",
  [REPORT],
])
  test(`no report is at ${JSON.stringify(report)}`, () => {
    assert.equal(resultsOfRun([{ report }]).results[0].report, "");
  });

test("phrases that the server left out are counted", () => {
  const [result] = resultsOfRun([{ phrases: [{ text: "x" }], phrase_count: 900, is_negative: true }]).results;
  assert.equal(result.phraseCount, 900);
  assert.equal(result.isNegative, true);
  assert.equal(resultsOfWorkflow({ results: [result] }).results[0].phraseCount, 900);
});

for (const [thumbnail, expected] of [
  ["0123456789ab_12.webp", "0123456789ab_12.webp"],
  ["../0123456789ab_1.webp", ""],
  ["0123456789ab_1.webp&type=input", ""],
  [7, ""],
])
  test(`a thumbnail called ${thumbnail} is ${expected ? "one of ours" : "none"}`, () => {
    assert.equal(resultsOfRun([{ thumbnail }]).results[0].thumbnail, expected);
  });
