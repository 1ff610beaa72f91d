/** Tells ComfyUI what this pack adds to its front end. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { COMMANDS, menuItems } from "./interrogate_picture.js";
import { isLoader, watchLoadedModels } from "./loaded_models.js";
import { addLoaderBox } from "./loader_widget.js";
import { SETTINGS, startWithSettings } from "./node_defaults.js";
import { lookAgain, tellOfFailure } from "./node_models.js";
import { addResultBox, showsResults } from "./result_widget.js";
import { useLocale } from "./words.js";

useLocale(() => app.extensionManager?.setting?.get("Comfy.Locale"));

api.addEventListener("execution_error", tellOfFailure);
api.addEventListener("execution_success", lookAgain);

app.registerExtension({
  name: "interrogator",
  settings: SETTINGS,
  commands: COMMANDS,
  getNodeMenuItems: menuItems,

  setup: watchLoadedModels,

  nodeCreated(node) {
    startWithSettings(node);
    if (showsResults(node)) addResultBox(node);
    if (isLoader(node)) addLoaderBox(node);
  },
});
