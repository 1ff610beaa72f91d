import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { loadedLine, watchLoadedModels } from "../../web/js/loaded_models.js";
import { api } from "./comfyui_api.js";

const ENCODER = { role: "encoder", name: "demo", precision: "fp32", bytes: 3.2e6, device: "cpu", state: "ready" };

await watchLoadedModels();

beforeEach(() => api.tell("interrogator.loaded", { models: [] }));

function loader(comfyClass = "InterrogatorLoadEncoder", model = "demo") {
  const made = { comfyClass, widgets: [{ name: "model", value: model }] };
  made.line = loadedLine(made);
  return made;
}

function line(node) {
  return node.line.textContent;
}

function tell(...models) {
  api.tell("interrogator.loaded", { models });
}

test("a loader follows its model", () => {
  const node = loader();
  assert.equal(line(node), "Not in memory");
  tell({ ...ENCODER, state: "waiting", device: "" });
  assert.equal(line(node), "Loaded in main memory: 3 MB, fp32");
  tell(ENCODER);
  assert.equal(line(node), "Loaded on cpu: 3 MB, fp32");
  tell({ ...ENCODER, state: "freed", bytes: 0 });
  assert.equal(line(node), "Not in memory");
});

test("models of another role or name are another's", () => {
  const node = loader();
  tell({ ...ENCODER, role: "tagger" }, { ...ENCODER, name: "other" });
  assert.equal(line(node), "Not in memory");
});

test("a model that is loaded twice has two lines, one of unknown size no size", () => {
  const node = loader();
  tell({ ...ENCODER, bytes: 1.26e9 }, { ...ENCODER, precision: "bf16", bytes: 0 });
  assert.equal(line(node), "Loaded on cpu: 1.3 GB, fp32\nLoaded on cpu: bf16");
});

test("another choice is looked up at once", () => {
  const node = loader();
  tell({ ...ENCODER, name: "other" });
  node.widgets[0].value = "other";
  node.widgets[0].callback();
  assert.equal(line(node), "Loaded on cpu: 3 MB, fp32");
});

test("a new node knows what is loaded, a saved one too, and one that is gone is forgotten", () => {
  tell(ENCODER);
  const node = loader();
  assert.equal(line(node), "Loaded on cpu: 3 MB, fp32");
  node.widgets[0].value = "other";
  node.onConfigure({});
  assert.equal(line(node), "Not in memory");
  node.onRemoved();
  tell({ ...ENCODER, name: "other" });
  assert.equal(line(node), "Not in memory");
});

test("a server that came back is asked again, and nonsense shows nothing", async () => {
  const node = loader();
  api.answers["/interrogator/loaded"] = { models: [ENCODER] };
  api.tell("reconnected");
  await new Promise((done) => setTimeout(done, 0));
  assert.equal(line(node), "Loaded on cpu: 3 MB, fp32");
  api.tell("interrogator.loaded", "nonsense");
  assert.equal(line(node), "Not in memory");
});
