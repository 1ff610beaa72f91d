/**
 * The few words that ComfyUI's own translations do not reach: those in the result box and the menu, in `words/`. Settings
 * and commands are translated in `locales/`. This module does not know ComfyUI: its user names the language.
 */

import { EN } from "./words/en.js";
import { JA } from "./words/ja.js";
import { KO } from "./words/ko.js";
import { ZH } from "./words/zh.js";
import { ZH_TW } from "./words/zh_tw.js";

const WORDS = { en: EN, zh: ZH, "zh-TW": ZH_TW, ja: JA, ko: KO };

/** @type {() => string | undefined} */
let readLocale = () => undefined;

/**
 * Sets how to read the language of the page; until then, it is English.
 * @param {() => string | undefined} read - called each time, because people change their language while the page is open
 */
export function useLocale(read) {
  readLocale = read;
}

/**
 * The words in the language of the page, or in English.
 * @returns {typeof EN}
 */
export function words() {
  const locale = String(readLocale() ?? "en");
  const known = [locale, locale.split("-")[0]].find((name) => Object.hasOwn(WORDS, name));
  return WORDS[known ?? "en"];
}
