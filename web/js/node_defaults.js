/**
 * The settings, and the widgets of new nodes that use them as defaults.
 *
 * A node that the user adds is created and then left alone. A node of a workflow that is loaded, pasted or undone is
 * created the same way and then configured with its saved values. So every node gets the settings when it is created,
 * and a configured node loses them again: to the saved value or, if there is none (an older workflow), to its own default.
 */

import { app } from "../../../scripts/app.js";
import { after } from "./handlers.js";

const PRESET = "Interrogator.Preset";
const DOWNLOAD = "Interrogator.Download";
/** `nodes/addresses.py` reads it, because no workflow may say where else pictures go. */
const ENDPOINT = "Interrogator.Endpoint";

/** The names and tooltips are translated in `locales/<language>/settings.json`. */
export const SETTINGS = [
  {
    id: DOWNLOAD,
    category: ["Interrogator", "New nodes", "Download"],
    name: "Allow downloads",
    tooltip: "New nodes may download missing models from the Hugging Face hub. If off, the network is never used.",
    type: "boolean",
    defaultValue: false,
  },
  {
    id: PRESET,
    category: ["Interrogator", "New nodes", "Preset"],
    name: "Default preset",
    tooltip: "The preset that new Interrogate Image nodes start with.",
    type: "combo",
    options: ["sd15", "sd21", "sdxl", "anime", "flux", "vlm", "small", "demo"],
    defaultValue: "sd15",
  },
  {
    id: ENDPOINT,
    category: ["Interrogator", "Captioner at an Endpoint", "Endpoint"],
    name: "Endpoint",
    tooltip:
      "Address of the server that captions for Captioner at an Endpoint, such as http://127.0.0.1:1234/v1. Pictures are sent there. A key belongs in the environment variable INTERROGATOR_API_KEY.",
    type: "text",
    defaultValue: "",
  },
];

/** Which setting each widget starts with, by node. */
const STARTS_WITH = {
  InterrogatorImage: { preset: PRESET, download: DOWNLOAD },
  InterrogatorLoadCaptioner: { download: DOWNLOAD },
  InterrogatorLoadTagger: { download: DOWNLOAD },
  InterrogatorLoadEncoder: { download: DOWNLOAD },
  InterrogatorDataset: { preset: PRESET, download: DOWNLOAD },
};

/** Set up a new node. */
export function startWithSettings(node) {
  const started = Object.entries(STARTS_WITH[node.comfyClass] ?? {}).flatMap(([name, setting]) =>
    startWith(node, name, app.extensionManager.setting.get(setting)),
  );
  if (started.length === 0) return;

  node.onConfigure = after(node.onConfigure, (saved) => {
    for (const { widget, ownDefault } of started) {
      if (!wasSaved(node, widget, saved)) widget.value = ownDefault;
    }
  });
}

/** The changed widget with its previous value; none if there is nothing to change. */
function startWith(node, name, value) {
  const widget = node.widgets?.find((candidate) => candidate.name === name);
  if (!widget || value === undefined || value === widget.value || !mayHave(widget, value)) return [];
  const ownDefault = widget.value;
  widget.value = value;
  return [{ widget, ownDefault }];
}

/** Whether a widget accepts a value: a setting may name a preset that this server lacks. */
function mayHave(widget, value) {
  const values = widget.options?.values;
  return !Array.isArray(values) || values.includes(value);
}

/** Whether a saved node has a value for a widget: values are saved by index, by newer front ends by name. */
function wasSaved(node, widget, saved) {
  if (saved.widgets_values_named) return widget.name in saved.widgets_values_named;
  const index = node.widgets.filter((other) => other.serialize !== false).indexOf(widget);
  return index < (saved.widgets_values?.length ?? 0);
}
