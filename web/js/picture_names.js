/** The file names of the pictures that a node takes, as far as the graph shows them. */

/** Nodes that load a file, and the widget that names it. */
const LOADERS = { LoadImage: "image", LoadImageOutput: "image", LoadImageMask: "image" };
/** More nodes than anybody connects in a row; what is connected in a circle ends here. */
const MOST_STEPS = 200;

/**
 * One name for each picture of a batch, in order; null where a picture comes from something else than files.
 * @param {object} node - one that takes its pictures from an IMAGE input
 * @returns {string[] | null}
 */
export function pictureNames(node) {
  const slot = node.inputs?.findIndex((input) => input.type === "IMAGE") ?? -1;
  const source = slot < 0 ? null : node.getInputNode?.(slot);
  return source ? namesOf(source, { left: MOST_STEPS }) : null;
}

function namesOf(node, steps) {
  steps.left -= 1;
  if (steps.left < 0) return null;
  const type = node.comfyClass ?? node.type;
  if (Object.hasOwn(LOADERS, type)) {
    const value = node.widgets?.find((widget) => widget.name === LOADERS[type])?.value;
    // An address such as `clipspace/a.png [input]` says where the file is as well.
    return typeof value === "string" && value ? [value.replace(/ \[\w+\]$/, "")] : null;
  }
  if (type !== "ImageBatch" && type !== "Reroute") return null;
  const sources = node.inputs.map((_, slot) => node.getInputNode(slot));
  const names = sources.map((source) => (source ? namesOf(source, steps) : null));
  return names.includes(null) ? null : names.flat();
}
