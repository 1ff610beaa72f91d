/** The scripts import ComfyUI's front end by the addresses that ComfyUI serves it at; here stand-ins answer there. */

const STAND_INS = {
  "../../../scripts/app.js": new URL("./comfyui_app.js", import.meta.url).href,
  "../../../scripts/api.js": new URL("./comfyui_api.js", import.meta.url).href,
};

export function resolve(specifier, context, nextResolve) {
  return Object.hasOwn(STAND_INS, specifier)
    ? { url: STAND_INS[specifier], format: "module", shortCircuit: true }
    : nextResolve(specifier, context);
}
