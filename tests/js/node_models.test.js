/** What our nodes lack, as the front end finds out and says. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import "../../web/js/interrogator.js";
import { api, resetApi } from "./comfyui_api.js";
import { app, reset } from "./comfyui_app.js";
import { texts } from "./browser.js";

const extension = app.extensions.at(-1);
const GONE = { role: "encoder", megabytes: 1700, licence: "MIT", folder: "/models/x", page: "https://hub/x" };
const NONE = { status: "none", models: [] };

let graph;
let nodes;

beforeEach(() => {
  reset();
  resetApi();
  graph = {};
  app.graph = app.rootGraph = graph;
  app.queued = [];
  nodes = [];
});

afterEach(() => {
  for (const node of nodes) node.onRemoved();
});

function created(comfyClass, values, members = {}) {
  const node = {
    comfyClass,
    id: nodes.length + 1,
    title: comfyClass,
    graph,
    properties: {},
    size: [100, 100],
    inputs: [],
    outputs: [],
    widgets: Object.entries(values).map(([name, value]) => ({ name, value })),
    addDOMWidget(name, _, element, options) {
      this.box = element;
      this.widgets.push({ name, options });
      return this.widgets.at(-1);
    },
    computeSize: () => [200, 90],
    setSize(size) {
      this.size = size;
    },
    getInputLink: () => null,
    getInputNode: () => null,
    getOutputNodes: () => null,
    ...members,
  };
  extension.nodeCreated(node);
  nodes.push(node);
  return node;
}

function lacks(...names) {
  api.answers["/interrogator/models"] = {
    missing: names.map((name) => ({ ...GONE, name })),
    folders: names.length ? [] : ["/models/interrogator/encoders/mine"],
    download: NONE,
  };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

test("a new node asks once what it lacks, with its settings and links, and says so", async () => {
  lacks("maker/clip");
  const node = created(
    "InterrogatorImage",
    { preset: "sd15", mode: "fast", escape: true },
    { inputs: [{ name: "image" }, { name: "caption" }], getInputLink: (slot) => (slot === 1 ? {} : null) },
  );
  node.onConfigure({});
  await settled();
  const [[path], ...others] = api.asked.filter(([address]) => address.startsWith("/interrogator/models"));
  assert.deepEqual(others, []);
  const query = new URLSearchParams(path.split("?")[1]);
  assert.equal(query.get("node"), "InterrogatorImage");
  assert.deepEqual(JSON.parse(query.get("inputs")), { preset: "sd15", mode: "fast" });
  assert.deepEqual(JSON.parse(query.get("connected")), ["caption"]);
  assert.deepEqual(texts(node.box, ".interrogator-missing .interrogator-label"), [
    "Not on this machine yet: 1.7 GB to download.",
  ]);
  assert.deepEqual(texts(node.box, ".interrogator-hint"), []);
});

test("another choice is looked up; a loader then says where its model is", async () => {
  lacks("maker/clip");
  const node = created("InterrogatorLoadEncoder", { model: "maker/clip" });
  await settled();
  assert.equal(texts(node.box, ".interrogator-models li").length, 1);
  lacks();
  node.widgets[0].callback("mine");
  await settled();
  assert.deepEqual(texts(node.box, ".interrogator-content p"), ["On disk: …/encoders/mine", "Not in memory"]);
  const widget = node.widgets.at(-1);
  assert.deepEqual([widget.serialize, widget.options.serialize], [false, false]);
  assert.equal(node.box.querySelector(".interrogator-missing"), null);
});

test("the demo is chosen on this node and the loaders beside it that lack a model, and runs", async () => {
  lacks("maker/clip");
  app.queuePrompt = (...args) => app.queued.push(args);
  const target = { inputs: [{}, {}], getInputNode: (slot) => loaders[slot] };
  const feeds = { outputs: [{}], getOutputNodes: () => [target] };
  const loaders = [
    created("InterrogatorLoadEncoder", { model: "maker/clip" }, feeds),
    created("InterrogatorLoadCaptioner", { model: "maker/blip" }, feeds),
  ];
  await settled();
  loaders[0].box.querySelector(".interrogator-demo").click();
  assert.deepEqual(
    loaders.map((node) => node.widgets[0].value),
    ["demo", "demo"],
  );
  assert.deepEqual(app.queued, [[0, 1]]);
});

test("a failed run is explained: by what is missing, or in the server's words", async () => {
  lacks("maker/clip");
  const node = created("InterrogatorImage", { preset: "sd15", mode: "fast" });
  await settled();
  const fail = (detail) => api.tell("execution_error", detail);
  fail({ node_type: "InterrogatorImage", node_id: `7:${node.id}`, exception_message: "long" });
  fail({ node_type: "InterrogatorRank", node_id: "9", exception_message: "There is nothing to rank.\n" });
  fail({ node_type: "KSampler", node_id: "3", exception_message: "not ours" });
  assert.deepEqual(
    app.toasts.map(({ severity, summary, detail }) => [severity, summary, detail]),
    [
      [
        "error",
        "InterrogatorImage failed",
        "Not on this machine yet: 1.7 GB to download. Press Download and run, or Try the demo, on the node.",
      ],
      ["error", "InterrogatorRank failed", "There is nothing to rank."],
    ],
  );
});

test("without an answer nothing is said to be missing", async () => {
  const node = created("InterrogatorImage", { preset: "sd15", mode: "fast" });
  await settled();
  assert.equal(texts(node.box, ".interrogator-hint").length, 1);
});
