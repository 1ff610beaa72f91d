/** Which models our nodes lack: asks the server, and has the nodes' boxes say so. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { after } from "./handlers.js";
import { MissingModels, sizeLine } from "./missing_models.js";
import { isOpen, runGraph } from "./running.js";
import { words } from "./words.js";

const DEMO = "demo";
/** Which widget names the models, by node. */
const NAMED_BY = {
  InterrogatorImage: "preset",
  InterrogatorDataset: "preset",
  InterrogatorLoadCaptioner: "model",
  InterrogatorLoadTagger: "model",
  InterrogatorLoadEncoder: "model",
};
/** The widgets that decide which models a node loads. */
const DECIDING = ["preset", "model", "mode", "quality", "negative", "template"];

/** What is known of each node in a graph. */
const watched = new Map();

/** @returns {boolean} */
export function loadsModels(node) {
  return Object.hasOwn(NAMED_BY, node.comfyClass);
}

/**
 * Watch the models of a new node.
 * @param {(folders: string[]) => void} onChange - called when another thing is missing, with the folders of what is not
 * @returns {MissingModels} for the node's box
 */
export function watchModels(node, onChange) {
  const box = new MissingModels({
    ask,
    onArrived: lookAgain,
    run: () => (isOpen(node) ? runGraph() : say("success", node, words().arrived)),
    runDemo: () => runDemo(node),
  });
  const watch = { box, onChange, missing: [], folders: [], download: null, asked: 0 };
  watched.set(node, watch);
  node.onRemoved = after(node.onRemoved, () => watched.delete(node));
  node.onConfigure = after(node.onConfigure, () => lookSoon(node));
  node.onConnectionsChange = after(node.onConnectionsChange, () => lookSoon(node));
  for (const widget of node.widgets ?? [])
    if (DECIDING.includes(widget.name)) widget.callback = after(widget.callback, () => lookSoon(node));
  lookSoon(node);
  return box;
}

/** After a run or a download things may be different for every node. */
export function lookAgain() {
  for (const node of watched.keys()) lookSoon(node);
}

/** What the front end says of a failed run names neither the reason nor what to do; the node or the server does. */
export function tellOfFailure({ detail }) {
  lookAgain();
  if (!/^Interrogator[A-Z]/.test(detail?.node_type ?? "")) return;
  const id = String(detail.node_id).split(":").at(-1); // in a subgraph its id stands last
  const failed = [...watched.keys()].find((node) => node.comfyClass === detail.node_type && String(node.id) === id);
  const lacking = failed ? lackedWith(failed) : [];
  const reason = lacking.length
    ? `${sizeLine(lacking)} ${words().pressThere}`
    : String(detail.exception_message).trim();
  say("error", failed ?? { title: nameOf(detail.node_type) }, reason);
}

/** Not at once: a new node is created first, and gets its values and links afterwards. */
function lookSoon(node) {
  const watch = watched.get(node);
  if (!watch) return;
  watch.asked += 1;
  const { asked } = watch;
  setTimeout(() => watch.asked === asked && look(node, watch, asked));
}

async function look(node, watch, asked) {
  if (!node.graph) return;
  const widgets = (node.widgets ?? []).filter(({ name }) => DECIDING.includes(name));
  const query = new URLSearchParams({
    node: node.comfyClass,
    inputs: JSON.stringify(Object.fromEntries(widgets.map(({ name, value }) => [name, value]))),
    connected: JSON.stringify((node.inputs ?? []).filter((_, slot) => node.getInputLink(slot)).map(({ name }) => name)),
  });
  const found = await ask(`/interrogator/models?${query}`).catch(() => null);
  // Settings that the server does not understand are said when the node runs.
  if (watch.asked !== asked) return;
  watch.missing = found?.missing ?? [];
  watch.folders = found?.folders ?? [];
  watch.download = found?.download ?? null;
  for (const other of new Set([node, ...runsWith(node)])) show(other);
}

function show(node) {
  const watch = watched.get(node);
  if (!watch) return;
  watch.box.show(lackedWith(node), watch.download);
  watch.onChange(watch.folders);
}

/** What a node lacks, if anything, and what the nodes lack that run with it: one download is enough. */
function lackedWith(node) {
  if (watched.get(node).missing.length === 0) return [];
  const lacking = [node, ...runsWith(node)].flatMap((other) => watched.get(other).missing);
  return [...new Map(lacking.map((model) => [`${model.role} ${model.name}`, model])).values()];
}

/** The other nodes of ours that feed the same node, are fed by this one, or feed it. */
function runsWith(node) {
  const fed = (node.outputs ?? []).flatMap((_, slot) => node.getOutputNodes(slot) ?? []);
  const near = [node, ...fed].flatMap((each) => [
    each,
    ...(each.inputs ?? []).map((_, slot) => each.getInputNode(slot)),
  ]);
  return [...new Set(near)].filter((other) => other && other !== node && watched.has(other));
}

function runDemo(node) {
  for (const other of [node, ...runsWith(node)]) {
    const widget = other.widgets.find(({ name }) => name === NAMED_BY[other.comfyClass]);
    if (!widget || watched.get(other).missing.length === 0) continue;
    widget.value = DEMO;
    widget.callback?.(DEMO);
  }
  app.canvas.setDirty(true, true);
  return runGraph();
}

/** JSON from the server. Throws an Error with its sentence. */
async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await api.fetchApi(path, options).catch(() => null);
  const said = await answer?.json().catch(() => null);
  if (!answer?.ok || !said) throw new Error(said?.error ?? words().unreachable);
  return said;
}

function nameOf(type) {
  return window.LiteGraph?.registered_node_types?.[type]?.title ?? type;
}

function say(severity, node, detail) {
  const summary = severity === "error" ? words().failed.replace("{node}", node.title) : node.title;
  app.extensionManager.toast.add({ severity, summary, detail, life: severity === "error" ? 12_000 : 6000 });
}
