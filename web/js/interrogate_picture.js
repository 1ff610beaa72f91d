/** "Interrogate this image": connects a node that has or shows a picture to a new Interrogate Image node beside it. */

import { app } from "../../../scripts/app.js";
import { words } from "./words.js";

const OURS = /^Interrogator[A-Z]/;
const NODE = "InterrogatorImage";
/** Between the nodes, in graph units. */
const GAP = 60;

/** The label is translated in `locales/<language>/commands.json`. */
export const COMMANDS = [
  {
    id: "Interrogator.InterrogateImage",
    label: "Interrogate the image of the selected node",
    icon: "pi pi-comment",
    function: interrogateSelected,
  },
];

/** Our entries in the context menu of a node; none on nodes without a picture. */
export function menuItems(node) {
  return hasPicture(node) ? [{ content: words().interrogate, callback: () => interrogate(node) }] : [];
}

function interrogateSelected() {
  const [node, ...others] = Object.values(app.canvas.selected_nodes ?? {});
  if (!node || others.length || !hasPicture(node)) warn(words().noSelection);
  else interrogate(node);
}

function hasPicture(node) {
  if (OURS.test(node.comfyClass)) return false;
  const showsPicture = Boolean(node.imgs?.length);
  const isShownOn = node.constructor.nodeData?.output_node && node.inputs?.some(isImage);
  return showsPicture || isShownOn || Boolean(node.outputs?.some(isImage));
}

function interrogate(node) {
  const connect = pictureSource(node);
  if (!connect) {
    warn(words().noSource);
    return;
  }
  app.canvas.emitBeforeChange();
  const added = addBeside(node);
  connect(added, added.inputs.findIndex(isImage));
  app.canvas.selectNode(added);
  app.canvas.emitAfterChange();
}

/**
 * What connects a node's picture to an input of another node: from the node's own output, or else from the source of
 * its input.
 * @returns {((target: object, slot: number) => void) | null}
 */
function pictureSource(node) {
  const output = node.outputs?.findIndex(isImage) ?? -1;
  if (output >= 0) return (target, slot) => node.connect(output, target, slot);

  const link = node.inputs?.map((input, slot) => isImage(input) && node.getInputLink(slot)).find(Boolean);
  const feeding = link?.resolve(node.graph);
  // In a subgraph the picture may come from outside.
  if (feeding?.subgraphInput) return (target, slot) => feeding.subgraphInput.connect(target.inputs[slot], target);
  if (feeding?.outputNode) return (target, slot) => feeding.outputNode.connect(link.origin_slot, target, slot);
  return null;
}

/** A socket may take several types: `IMAGE,MASK`. */
function isImage(socket) {
  return typeof socket.type === "string" && socket.type.split(",").includes("IMAGE");
}

function addBeside(node) {
  const added = window.LiteGraph.createNode(NODE);
  added.pos = freePosition(node, added.size);
  node.graph.add(added);
  return added;
}

/** To the right of a node, below any nodes already there. */
function freePosition(node, [width, height]) {
  const x = node.pos[0] + node.size[0] + GAP;
  let y = node.pos[1];
  const column = node.graph.nodes
    .filter((other) => other.pos[0] < x + width && other.pos[0] + other.size[0] > x)
    .sort((one, other) => one.pos[1] - other.pos[1]);
  for (const other of column) {
    const isFree = other.pos[1] >= y + height + GAP || other.pos[1] + other.size[1] <= y;
    if (!isFree) y = other.pos[1] + other.size[1] + GAP;
  }
  return [x, y];
}

function warn(detail) {
  app.extensionManager.toast.add({ severity: "warn", summary: words().interrogate, detail, life: 6000 });
}
