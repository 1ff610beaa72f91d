/** The pack as ComfyUI sees it: one extension, and what it does to nodes. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import "../../web/js/interrogator.js";
import { app, reset } from "./comfyui_app.js";
import { texts } from "./browser.js";

const [extension] = app.extensions;

beforeEach(reset);

function node(comfyClass, properties = {}) {
  return {
    comfyClass,
    properties,
    size: [100, 700],
    widgets: [],
    addDOMWidget(name, type, element, options) {
      this.widgets.push({ name, type, element, options });
      return this.widgets.at(-1);
    },
    computeSize: () => [200, 300],
    setSize(size) {
      this.size = size;
    },
  };
}

function created(...args) {
  const made = node(...args);
  extension.nodeCreated(made);
  return made;
}

function shown({ widgets: [widget] }) {
  return texts(widget.element, ".interrogator-text");
}

test("one extension is registered, with its settings, command and menu", () => {
  assert.equal(app.extensions.length, 1);
  assert.equal(extension.name, "interrogator");
  assert.deepEqual(
    extension.settings.map((setting) => setting.id),
    ["Interrogator.Download", "Interrogator.Preset", "Interrogator.Endpoint"],
  );
  assert.deepEqual(
    extension.commands.map((command) => command.id),
    ["Interrogator.InterrogateImage"],
  );
  assert.equal(extension.getNodeMenuItems({ comfyClass: "LoadImage", imgs: [{}] }).length, 1);
});

test("our nodes have a result box, others have none", () => {
  assert.equal(created("InterrogatorRank").widgets.length, 1);
  const other = created("KSampler");
  assert.deepEqual([other.widgets, other.size, other.onExecuted], [[], [100, 700], undefined]);
  assert.deepEqual(created("InterrogatorLoadBanks").widgets, []);
  assert.deepEqual(
    created("InterrogatorLoadEncoder").widgets.map(({ name }) => name),
    ["interrogator_loaded"],
  );
});

test("the box speaks the language that ComfyUI is set to", () => {
  app.settings["Comfy.Locale"] = "ko";
  const [widget] = created("InterrogatorImage").widgets;
  assert.deepEqual(texts(widget.element, ".interrogator-hint"), ["이 노드를 실행하면 결과가 여기에 표시됩니다."]);
});

test("a new node is wide enough, and keeps the height that it has", () => {
  assert.deepEqual(created("InterrogatorImage").size, [320, 700]);
});

test("what a run found is shown, and kept with the workflow as a change of it", () => {
  const ran = created("InterrogatorImage");
  ran.onExecuted({ interrogator: [{ text: "a cat", similarity: 0.123456 }] });
  assert.deepEqual(shown(ran), ["a cat"]);
  assert.equal(ran.properties.interrogator.results[0].similarity, 0.1235);
  assert.deepEqual(app.canvasCalls, ["before change", "after change"]);
});

test("a run without results leaves the box as it is", () => {
  const ran = created("InterrogatorImage");
  ran.onExecuted({ interrogator: [{ text: "a cat" }] });
  ran.onExecuted({ images: [] });
  ran.onExecuted(null);
  assert.deepEqual(shown(ran), ["a cat"]);
});

test("a loaded workflow shows what it carries", () => {
  const loaded = created("InterrogatorImage");
  loaded.properties = { interrogator: { count: 1, results: [{ text: "from the file" }] } };
  loaded.onConfigure({});
  assert.deepEqual(shown(loaded), ["from the file"]);
});

test("a workflow that carries anything else leaves the box empty", () => {
  const loaded = created("InterrogatorImage", { interrogator: "broken" });
  loaded.onConfigure({});
  assert.equal(loaded.widgets[0].element.querySelectorAll(".interrogator-hint").length, 1);
});

test("the box is no value of the workflow, and takes more room once it is filled", () => {
  const ran = created("InterrogatorImage");
  const [widget] = ran.widgets;
  assert.deepEqual([widget.serialize, widget.options.serialize], [false, false]);
  const empty = widget.options.getMinHeight();
  ran.onExecuted({ interrogator: [{ text: "a cat" }] });
  assert.ok(widget.options.getMinHeight() > empty);
});
