/** The box on our loaders: which models are missing, or where the model is. */

import { element, useStyleSheet } from "./elements.js";
import { shortPath } from "./missing_models.js";
import { watchModels } from "./node_models.js";
import { words } from "./words.js";

const LOADERS = /^InterrogatorLoad(Captioner|Tagger|Encoder)$/;

/** Heights in graph units, ten of margin above and below included. */
const LINE_HEIGHT = 56;
const FULL_HEIGHT = 240;
const LEAST_WIDTH = 320;

/** @returns {boolean} */
export function isLoader(node) {
  return LOADERS.test(node.comfyClass);
}

/** Give a new loader its box. */
export function addLoaderBox(node) {
  useStyleSheet("result_box.css");
  const content = element("div", "interrogator-content");
  const box = element("section", "interrogator-box interrogator-empty", content);
  const missing = watchModels(node, (folders) => {
    box.classList.toggle("interrogator-empty", missing.isEmpty);
    content.replaceChildren(...(missing.isEmpty ? folders.map(folderLine) : [missing.element]));
    fit(node, missing.isEmpty);
  });
  const widget = node.addDOMWidget("interrogator", "interrogator_models", box, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => (missing.isEmpty ? LINE_HEIGHT : FULL_HEIGHT),
  });
  widget.serialize = false;
  fit(node, true);
}

function folderLine(folder) {
  const line = element("p", "interrogator-hint", words().onDisk.replace("{folder}", shortPath(folder, 2)));
  line.title = folder;
  return line;
}

/** A node is as high as its box needs; what the box no longer needs it gives back. */
function fit(node, isSmall) {
  const [width, height] = node.computeSize();
  const spare = isSmall ? FULL_HEIGHT - LINE_HEIGHT : 0;
  const tall = node.size[1] <= height + spare ? height : node.size[1];
  node.setSize([Math.max(node.size[0], width, LEAST_WIDTH), Math.max(height, tall)]);
}
