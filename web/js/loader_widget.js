/** The box on our loaders: which models are missing, or where the model is, on disk and in memory. */

import { element } from "./elements.js";
import { after } from "./handlers.js";
import { loadedLine } from "./loaded_models.js";
import { shortPath } from "./missing_models.js";
import { watchModels } from "./node_models.js";
import { words } from "./words.js";

/** Heights in graph units, ten of margin above and below included. */
const LINES_HEIGHT = 64;
const MISSING_HEIGHT = 240;
const LEAST_WIDTH = 320;

/** Give a new loader its box. */
export function addLoaderBox(node) {
  const loaded = loadedLine(node);
  const content = element("div", "interrogator-content", loaded);
  const box = element("section", "interrogator-box interrogator-empty", content);
  const missing = watchModels(node, (folders) => {
    box.classList.toggle("interrogator-empty", missing.isEmpty);
    content.replaceChildren(...(missing.isEmpty ? [...folders.map(folderLine), loaded] : [missing.element]));
    fit(node, missing.isEmpty);
  });
  const widget = node.addDOMWidget("interrogator_loaded", "interrogator_loaded", box, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => (missing.isEmpty ? LINES_HEIGHT : MISSING_HEIGHT),
  });
  widget.serialize = false;
  node.onConfigure = after(node.onConfigure, () => fit(node, missing.isEmpty));
  fit(node, true);
}

function folderLine(folder) {
  const line = element("p", "interrogator-disk", words().onDisk.replace("{folder}", shortPath(folder, 2)));
  line.title = folder;
  return line;
}

/** A node is as high as its box needs; what the box no longer needs it gives back. */
function fit(node, isSmall) {
  const [width, height] = node.computeSize();
  const spare = isSmall ? MISSING_HEIGHT - LINES_HEIGHT : 0;
  const tall = node.size[1] <= height + spare ? height : node.size[1];
  node.setSize([Math.max(node.size[0], width, LEAST_WIDTH), Math.max(height, tall)]);
}
