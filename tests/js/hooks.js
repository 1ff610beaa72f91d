/** The scripts import ComfyUI's front end by the address that ComfyUI serves it at; here stand-ins answer there. */

const ADDRESS = /^(?:\.\.\/){3}scripts\/(app|api)\.js$/;

export function resolve(specifier, context, nextResolve) {
  const [, name] = ADDRESS.exec(specifier) ?? [];
  return name
    ? { url: new URL(`./comfyui_${name}.js`, import.meta.url).href, format: "module", shortCircuit: true }
    : nextResolve(specifier, context);
}
