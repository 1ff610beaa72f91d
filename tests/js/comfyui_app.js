/** Stands in for ComfyUI's `scripts/app.js`: what our scripts use of it, writing down what they do. */

const settings = {};

export const app = {
  extensions: [],
  /** Warnings shown to the user. */
  toasts: [],
  /** What the undo history was told, and what was selected. */
  canvasCalls: [],
  settings,
  extensionManager: {
    setting: { get: (id) => settings[id] },
    toast: { add: (message) => app.toasts.push(message) },
  },
  canvas: {
    selected_nodes: {},
    emitBeforeChange: () => app.canvasCalls.push("before change"),
    emitAfterChange: () => app.canvasCalls.push("after change"),
    selectNode: (node) => app.canvasCalls.push(`select ${node.comfyClass}`),
    setDirty: () => {},
  },
  registerExtension: (extension) => app.extensions.push(extension),
};

/** As it was before any test. */
export function reset() {
  app.toasts.length = 0;
  app.canvasCalls.length = 0;
  app.canvas.selected_nodes = {};
  for (const id of Object.keys(settings)) delete settings[id];
}
