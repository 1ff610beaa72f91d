/** Starts runs, as the Run button does. */

import { app } from "../../../scripts/app.js";

/** @returns {boolean} whether a node stands in the graph that Run would run */
export function isOpen(node) {
  const root = node.graph?.rootGraph ?? node.graph;
  return Boolean(root) && root === (app.rootGraph ?? app.graph);
}

/** Run the whole graph. */
export function runGraph() {
  return app.queuePrompt(0, 1);
}

/** Run one output node and what feeds it; inside of a subgraph, whose nodes have other names in a run, the whole graph. */
export function runNode(node) {
  const isOutside = node.graph === (app.rootGraph ?? app.graph);
  return isOutside ? app.queuePrompt(0, 1, [String(node.id)]) : runGraph();
}
