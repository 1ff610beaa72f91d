import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { SETTINGS, startWithSettings } from "../../web/js/node_defaults.js";
import { app, reset } from "./comfyui_app.js";

const [DOWNLOAD, PRESET] = SETTINGS.map((setting) => setting.id);

beforeEach(() => {
  reset();
  app.settings[PRESET] = "sdxl";
  app.settings[DOWNLOAD] = true;
});

function node(comfyClass = "InterrogatorImage", presets = ["sd15", "sdxl"]) {
  return {
    comfyClass,
    widgets: [
      { name: "mode", value: "best" },
      { name: "preset", value: "sd15", options: { values: presets } },
      { name: "button", value: "", serialize: false },
      { name: "download", value: false },
    ],
  };
}

function values({ widgets }) {
  return Object.fromEntries(widgets.map((widget) => [widget.name, widget.value]));
}

test("a new node starts with the settings", () => {
  const added = node();
  startWithSettings(added);
  assert.deepEqual(values(added), { mode: "best", preset: "sdxl", button: "", download: true });
});

test("a node starts with the settings that are meant for it", () => {
  const added = node("InterrogatorLoadEncoder");
  startWithSettings(added);
  assert.deepEqual(values(added), { mode: "best", preset: "sd15", button: "", download: true });
});

test("other packs' nodes are left alone", () => {
  const added = node("KSampler");
  startWithSettings(added);
  assert.deepEqual(added, node("KSampler"));
});

test("a preset that this server does not have is not chosen", () => {
  const added = node("InterrogatorImage", ["sd15", "demo"]);
  startWithSettings(added);
  assert.equal(values(added).preset, "sd15");
});

test("a setting that nobody made changes nothing", () => {
  reset();
  const added = node();
  startWithSettings(added);
  assert.deepEqual(values(added), values(node()));
  assert.equal(added.onConfigure, undefined);
});

test("a loaded node has what was saved", () => {
  const loaded = node();
  startWithSettings(loaded);
  const saved = { widgets_values: ["best", "sdxl", true] };
  loaded.widgets[3].value = true;
  loaded.onConfigure(saved);
  assert.deepEqual(values(loaded), { mode: "best", preset: "sdxl", button: "", download: true });
});

test("what an older workflow did not save has the node's own default", () => {
  const loaded = node();
  startWithSettings(loaded);
  loaded.onConfigure({ widgets_values: ["best", "sdxl"] });
  assert.deepEqual(values(loaded), { mode: "best", preset: "sdxl", button: "", download: false });
});

test("values that are saved by name are looked for by name", () => {
  const loaded = node();
  startWithSettings(loaded);
  loaded.onConfigure({
    widgets_values: ["best", "sdxl", true],
    widgets_values_named: { mode: "best", download: true },
  });
  assert.deepEqual(values(loaded), { mode: "best", preset: "sd15", button: "", download: true });
});

test("a node that nothing was saved for has its own defaults", () => {
  const loaded = node();
  startWithSettings(loaded);
  loaded.onConfigure({});
  assert.deepEqual(values(loaded), values(node()));
});

test("what another pack does when a node is configured is still done, as itself", () => {
  const loaded = node();
  const calls = [];
  loaded.onConfigure = function (...args) {
    calls.push([this, ...args]);
  };
  startWithSettings(loaded);
  const saved = { widgets_values: [] };
  loaded.onConfigure(saved);
  assert.equal(calls.length, 1);
  assert.equal(calls[0][0], loaded);
  assert.equal(calls[0][1], saved);
});
