import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { MissingModels, shortPath, sizeLine } from "../../web/js/missing_models.js";
import { texts } from "./browser.js";

const BLIP = {
  role: "captioner",
  name: "maker/blip",
  megabytes: 1900,
  licence: "MIT",
  folder: "/models/interrogator/captioners/maker--blip",
  page: "https://huggingface.co/maker/blip",
};
const CLIP = { ...BLIP, role: "encoder", name: "maker/clip", megabytes: 60 };
const PATH = "/interrogator/downloads";

let asked;
let told;
let answers;
let box;

function state(status, done = 0, total = 1.96e9, error = "") {
  return { status, done, total, error, models: [{ role: "captioner", name: "maker/blip" }] };
}

beforeEach(() => {
  asked = [];
  told = [];
  answers = [];
  box = new MissingModels({
    ask: async (...args) => {
      asked.push(args);
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onArrived: () => told.push("arrived"),
    run: () => told.push("run"),
    runDemo: () => told.push("demo"),
  });
});

function press(name) {
  box.element.querySelector(`.interrogator-${name}`).click();
}

async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("nothing is said while nothing is missing", () => {
  box.show([], state("none"));
  assert.equal(box.isEmpty, true);
  assert.equal(box.element.textContent, "");
});

test("what is missing is named with sizes, licences, folders and the whole size", () => {
  box.show([BLIP, CLIP], state("none"));
  assert.deepEqual(texts(box.element, ".interrogator-label"), ["Not on this machine yet: 2.0 GB to download."]);
  assert.deepEqual(texts(box.element, ".interrogator-models li"), [
    "maker/blip (1.9 GB, MIT) to …/models/interrogator/captioners",
    "maker/clip (60 MB, MIT) to …/models/interrogator/captioners",
  ]);
  assert.match(box.element.textContent, /know only drawn creatures/);
  const link = box.element.querySelector("a");
  assert.deepEqual([link.href, link.rel], [BLIP.page, "noopener"]);
});

test("the demo is run at a press", () => {
  box.show([BLIP], state("none"));
  press("demo");
  assert.deepEqual(told, ["demo"]);
});

test("a download is told of until it is done, and then the graph runs", async () => {
  box.show([BLIP], state("none"));
  answers = [state("running"), state("running", 0.98e9), state("done", 1.96e9)];
  press("download");
  await until(() => asked.length === 2);
  await until(() => texts(box.element, "[role=status]")[0] === "Downloading: 1.0 GB of 2.0 GB");
  await until(() => told.length === 2);
  assert.deepEqual(told, ["arrived", "run"]);
  assert.deepEqual(asked[0], [PATH, { models: [{ role: "captioner", name: "maker/blip" }] }]);
  assert.deepEqual(asked[1], [PATH]);
});

test("a download that somebody else started is shown, and nothing runs after it", async () => {
  answers = [state("done")];
  box.show([BLIP], state("running", 1e9));
  assert.deepEqual(texts(box.element, "[role=status]"), ["Downloading: 1.0 GB of 2.0 GB"]);
  await until(() => told.length);
  assert.deepEqual(told, ["arrived"]);
});

test("a cancelled download says that the next one goes on", async () => {
  answers = [state("running", 1e9), state("cancelled", 1e9)];
  box.show([BLIP], state("running", 1e9));
  press("cancel");
  await until(() => texts(box.element, ".interrogator-line").some((line) => line.startsWith("Stopped at 1.0 GB")));
  assert.deepEqual(asked[0], [`${PATH}/cancel`, {}]);
  assert.deepEqual(told, []);
});

test("why a download failed is said, and that the server does not answer", async () => {
  box.show([BLIP], state("failed", 0, 1, "no connection"));
  assert.deepEqual(texts(box.element, ".interrogator-error"), ["no connection"]);
  answers = [new Error("ComfyUI does not answer.")];
  press("download");
  await until(() => texts(box.element, ".interrogator-error")[0] === "ComfyUI does not answer.");
});

test("the download of other models is not this node's", () => {
  box.show([CLIP], state("running"));
  assert.equal(box.element.querySelectorAll(".interrogator-download").length, 1);
});

test("paths are shortened to their end", () => {
  assert.equal(shortPath("/a/b/c/d", 2), "…/c/d");
  assert.equal(shortPath("C:\\a\\b\\c", 2, 1), "…/a/b");
  assert.equal(shortPath("b/c", 2), "b/c");
  assert.equal(sizeLine([CLIP]), "Not on this machine yet: 60 MB to download.");
});
