/** Pages to test on. */

import { Window } from "happy-dom";

/** A window whose page loads nothing, whatever stands in it. */
export function newWindow() {
  const settings = {
    disableCSSFileLoading: true,
    disableJavaScriptFileLoading: true,
    handleDisabledFileLoadingAsSuccess: true,
  };
  return new Window({ url: "http://localhost:8188/", settings });
}

/** The texts of the elements that a selector finds. */
export function texts(root, selector) {
  return [...root.querySelectorAll(selector)].map((element) => element.textContent);
}
