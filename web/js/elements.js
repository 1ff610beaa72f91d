/** Builds the page's elements. Strings become text, never markup: they come from models and files. */

/**
 * @param {keyof HTMLElementTagNameMap} tag
 * @param {string} className
 * @param {...(string | Node)} children
 * @returns {HTMLElement}
 */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/**
 * @param {string} className
 * @param {string} text - its visible text
 * @param {string} label - what a screen reader reads
 * @param {() => void} onClick
 * @returns {HTMLButtonElement}
 */
export function button(className, text, label, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", onClick);
  return made;
}

/** Adds a style sheet from this folder to the page, once. */
export function useStyleSheet(name) {
  const href = new URL(name, import.meta.url).href;
  if (document.head.querySelector(`link[href="${href}"]`)) return;
  const link = element("link", "");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}
