/** Loaded before each file of tests: a page, and ComfyUI's address. */

import * as modules from "node:module";
import { newWindow } from "./browser.js";
import { resolve } from "./hooks.js";

// Node 20 has the older way only.
if (modules.registerHooks) modules.registerHooks({ resolve });
else modules.register("./hooks.js", import.meta.url);

const window = newWindow();
for (const [name, value] of Object.entries({ window, document: window.document, navigator: window.navigator }))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
