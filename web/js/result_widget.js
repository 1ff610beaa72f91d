/** Puts the result box on our nodes, and keeps what it shows in the workflow. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { after } from "./handlers.js";
import { loadsModels, watchModels } from "./node_models.js";
import { pictureNames } from "./picture_names.js";
import { ResultBox } from "./result_box.js";
import { resultsOfRun, resultsOfWorkflow } from "./results.js";

const NODES = new Set([
  "InterrogatorImage",
  "InterrogatorAdvanced",
  "InterrogatorCaption",
  "InterrogatorTag",
  "InterrogatorNegative",
  "InterrogatorRank",
  "InterrogatorSimilarity",
  "InterrogatorCheck",
  "InterrogatorDataset",
]);

/** The name of the server's output, and of the node's property that holds it; `nodes/result_box.py` has it too. */
const KEY = "interrogator";

/** Heights in graph units, ten of margin above and below included. */
const EMPTY_HEIGHT = 56;
const FILLED_HEIGHT = 220;
const NOTICE_HEIGHT = 270;
const LEAST_WIDTH = 320;

/** @returns {boolean} */
export function showsResults(node) {
  return NODES.has(node.comfyClass);
}

/**
 * Give a new node its box. What it shows stands in `node.properties`, which every copy of a node gets for itself, and
 * not in the widget's value: values are stored by their index, and an input added later would shift them.
 */
export function addResultBox(node) {
  const box = new ResultBox((path) => api.fileURL(path));
  const widget = node.addDOMWidget(KEY, "interrogator_results", box.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => (box.hasNotice ? NOTICE_HEIGHT : box.isEmpty ? EMPTY_HEIGHT : FILLED_HEIGHT),
  });
  widget.serialize = false;

  node.onExecuted = after(node.onExecuted, (output) => {
    if (!output?.[KEY]) return;
    keep(node, withNames(node, resultsOfRun(output[KEY])));
    show(node, box);
  });
  node.onConfigure = after(node.onConfigure, () => show(node, box));

  if (loadsModels(node)) {
    const missing = watchModels(node, () => {
      box.notify(missing.isEmpty ? null : missing.element);
      makeRoom(node);
    });
  }
  makeRoom(node, LEAST_WIDTH);
}

/** Results with the file names of their images, where each is of a file. */
function withNames(node, found) {
  const names = pictureNames(node);
  if (names?.length !== found.count) return found;
  return {
    ...found,
    results: found.results.map((result, index) => ({ ...result, title: result.title || names[index] })),
  };
}

function show(node, box) {
  box.show(resultsOfWorkflow(node.properties[KEY]));
  makeRoom(node);
}

/** Nobody edited the graph, so the front end would not notice that there is something to save. */
function keep(node, results) {
  app.canvas.emitBeforeChange();
  node.properties[KEY] = results;
  app.canvas.emitAfterChange();
}

/** Never makes a node smaller: its size is the user's. */
function makeRoom(node, width = 0) {
  const [leastWidth, leastHeight] = node.computeSize();
  node.setSize([Math.max(node.size[0], leastWidth, width), Math.max(node.size[1], leastHeight)]);
  app.canvas?.setDirty(true, true);
}
