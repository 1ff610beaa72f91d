/** Tells ComfyUI what this pack adds to its front end. */

import { app } from "../../../scripts/app.js";
import { COMMANDS, menuItems } from "./interrogate_picture.js";
import { addLoadedLine, loadsModel, watchLoadedModels } from "./loaded_models.js";
import { SETTINGS, startWithSettings } from "./node_defaults.js";
import { addResultBox, showsResults } from "./result_widget.js";
import { useLocale } from "./words.js";

useLocale(() => app.extensionManager?.setting?.get("Comfy.Locale"));

app.registerExtension({
  name: "interrogator",
  settings: SETTINGS,
  commands: COMMANDS,
  getNodeMenuItems: menuItems,

  setup: watchLoadedModels,

  nodeCreated(node) {
    startWithSettings(node);
    if (showsResults(node)) addResultBox(node);
    if (loadsModel(node)) addLoadedLine(node);
  },
});
