/** Says on each loader whether its model is in memory, and where. The server knows, and tells of every change. */

import { api } from "../../../scripts/api.js";
import { element, useStyleSheet } from "./elements.js";
import { after } from "./handlers.js";
import { words } from "./words.js";

/** The role of the models that a loader loads, by node. */
const ROLES = {
  InterrogatorLoadCaptioner: "captioner",
  InterrogatorLoadTagger: "tagger",
  InterrogatorLoadEncoder: "encoder",
};

/** The event, and the address that answers the same; `nodes/hosted.py` has them too. */
const EVENT = "interrogator.loaded";
const ADDRESS = "/interrogator/loaded";

/**
 * @typedef {object} Loaded
 * @property {string} role
 * @property {string} name - as the loader's widget has it
 * @property {string} precision
 * @property {number} bytes - 0 if nobody knows
 * @property {string} device - where it computes, if it is there
 * @property {"ready" | "waiting" | "freed"} state
 */

/** @type {Loaded[]} */
let models = [];
/** The nodes that say so, with the elements that they say it in. */
const lines = new Map();

/** Hear of models that come and go. */
export function watchLoadedModels() {
  api.addEventListener(EVENT, ({ detail }) => show(detail?.models));
  api.addEventListener("reconnected", ask); // by another server, perhaps
  return ask();
}

/** @returns {boolean} */
export function isLoader(node) {
  return Object.hasOwn(ROLES, node.comfyClass);
}

/** The line of a new loader. */
export function loadedLine(node) {
  useStyleSheet("result_box.css");
  const line = element("p", "interrogator-loaded");
  line.setAttribute("role", "status");
  lines.set(node, line);
  const draw = () => drawLine(node, line);
  const choice = modelWidget(node);
  if (choice) choice.callback = after(choice.callback, draw);
  node.onConfigure = after(node.onConfigure, draw);
  node.onRemoved = after(node.onRemoved, () => lines.delete(node));
  draw();
  return line;
}

async function ask() {
  try {
    const answer = await api.fetchApi(ADDRESS);
    show((await answer.json()).models);
  } catch {
    // A server that is too old to answer, or gone; the next event tells.
  }
}

function show(told) {
  models = Array.isArray(told) ? told : [];
  for (const [node, line] of lines) drawLine(node, line);
}

function drawLine(node, line) {
  const name = modelWidget(node)?.value;
  const found = models.filter(
    (model) => model.role === ROLES[node.comfyClass] && model.name === name && model.state !== "freed",
  );
  line.textContent = found.map(sentence).join("\n") || words().notLoaded;
  line.classList.toggle("interrogator-loaded-here", found.length > 0);
}

/** @param {Loaded} model */
function sentence({ bytes, precision, device, state }) {
  const what = [bytes > 0 ? size(bytes) : "", precision].filter(Boolean).join(", ");
  const form = state === "ready" ? words().loadedOn : words().loadedWaiting;
  return form.replace("{device}", device).replace("{what}", what);
}

function size(bytes) {
  return bytes < 1e9 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

function modelWidget(node) {
  return node.widgets?.find(({ name }) => name === "model");
}
