/** The scripts import ComfyUI's front end by the address that ComfyUI serves it at; here a stand-in answers there. */

const ADDRESS = "../../../scripts/app.js";
const STAND_IN = new URL("./comfyui_app.js", import.meta.url).href;

export function resolve(specifier, context, nextResolve) {
  return specifier === ADDRESS
    ? { url: STAND_IN, format: "module", shortCircuit: true }
    : nextResolve(specifier, context);
}
