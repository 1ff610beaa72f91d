/**
 * What a node says in its box while its models are missing: what they are, how large, where they go; with buttons that
 * download them, or run the demo instead. It knows nothing about nodes and graphs.
 */

import { copyText } from "./clipboard.js";
import { button, element, useStyleSheet } from "./elements.js";
import { words } from "./words.js";

/**
 * A model that is missing, as `nodes/missing.py` describes it.
 * @typedef {object} Model
 * @property {string} role
 * @property {string} name
 * @property {number} megabytes
 * @property {string} licence
 * @property {string} folder - where its files go
 * @property {string} page - of its repository
 */

/**
 * How far a download is, as `nodes/downloads.py` says.
 * @typedef {object} Download
 * @property {"none" | "running" | "done" | "cancelled" | "failed"} status
 * @property {string} error
 * @property {number} done - bytes
 * @property {number} total - bytes
 * @property {{role: string, name: string}[]} models
 */

const DOWNLOADS = "/interrogator/downloads";
const ASK_EACH_MS = 500;

export class MissingModels {
  /** @type {Model[]} */
  #models = [];
  /** @type {Download | null} */
  #download = null;
  #isAsking = false;
  #runsAfterwards = false;

  /**
   * @param {object} does
   * @param {(path: string, body?: object) => Promise<any>} does.ask - JSON from the server; with a body it is a POST
   * @param {() => void} does.onArrived - the models are here
   * @param {() => void} does.run - the user wants a run, now that they are
   * @param {() => void} does.runDemo
   */
  constructor(does) {
    useStyleSheet("missing_models.css");
    this.#does = does;
    /** @type {HTMLElement} */
    this.element = element("section", "interrogator-missing");
    this.element.setAttribute("aria-label", words().models);
    this.element.dataset.captureWheel = "true";
  }

  #does;

  get isEmpty() {
    return this.#models.length === 0;
  }

  /**
   * Show what is missing; nothing for no models.
   * @param {Model[]} models
   * @param {Download | null} download - that the server is at, or was last
   */
  show(models, download) {
    this.#models = models;
    this.#take(download);
  }

  #take(download) {
    this.#download = download;
    this.#draw();
    if (this.#isRunning) this.#askAgain();
  }

  /** Whether one of our models is on its way. */
  get #isRunning() {
    return this.#isOurs && this.#download.status === "running";
  }

  get #isOurs() {
    const asked = this.#download?.models ?? [];
    return this.#models.some(({ role, name }) => asked.some((other) => other.role === role && other.name === name));
  }

  #draw() {
    const parts = this.isEmpty ? [] : [this.#list(), ...(this.#isRunning ? this.#progress() : this.#offer())];
    this.element.replaceChildren(...parts);
  }

  #list() {
    const heading = element("p", "interrogator-line interrogator-label", sizeLine(this.#models));
    return element("div", "", heading, element("ul", "interrogator-models", ...this.#models.map(modelLine)));
  }

  #offer() {
    const { downloadAndRun } = words();
    const download = button("interrogator-button interrogator-download", downloadAndRun, downloadAndRun, () =>
      this.#start(),
    );
    const demo = button("interrogator-button interrogator-demo", words().tryDemo, words().demoHint, () =>
      this.#does.runDemo(),
    );
    const hint = element("p", "interrogator-note", words().demoHint);
    return [element("p", "interrogator-line", download, " ", demo), ...this.#lastEnd(), hint, byHand(this.#models)];
  }

  /** How the last download of these models ended, unless well. */
  #lastEnd() {
    if (!this.#isOurs) return [];
    const { status, error } = this.#download;
    if (status === "failed") return [element("p", "interrogator-line interrogator-error", error)];
    if (status !== "cancelled") return [];
    return [element("p", "interrogator-line", filled(words().stopped, this.#amounts()))];
  }

  #progress() {
    const line = element("p", "interrogator-line", filled(words().downloading, this.#amounts()));
    line.setAttribute("role", "status");
    const fill = element("span", "interrogator-fill");
    fill.style.width = `${(100 * this.#download.done) / Math.max(this.#download.total, 1)}%`;
    const cancel = button("interrogator-button interrogator-cancel", words().cancel, words().cancel, () =>
      this.#tell(`${DOWNLOADS}/cancel`, {}),
    );
    return [line, element("p", "interrogator-track", fill), element("p", "interrogator-line", cancel)];
  }

  #amounts() {
    const { done, total } = this.#download;
    return { done: inWords(done / 1e6), total: inWords(total / 1e6) };
  }

  #start() {
    this.#runsAfterwards = true;
    this.#tell(DOWNLOADS, { models: this.#models.map(({ role, name }) => ({ role, name })) });
  }

  async #tell(path, body) {
    try {
      this.#take(await this.#does.ask(path, body));
    } catch (error) {
      this.#fail(error.message);
    }
  }

  #fail(error) {
    this.#take({ status: "failed", error, done: 0, total: 0, models: this.#models });
  }

  /** Ask how far the download is until it has ended. Redrawn each time, the button keeps the keyboard focus. */
  async #askAgain() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#isRunning) {
      await new Promise((resolve) => setTimeout(resolve, ASK_EACH_MS));
      const hadFocus = this.element.contains(document.activeElement);
      try {
        this.#download = await this.#does.ask(DOWNLOADS);
        this.#draw();
      } catch (error) {
        this.#fail(error.message);
      }
      if (hadFocus) this.element.querySelector("button")?.focus();
    }
    this.#isAsking = false;
    this.#end();
  }

  #end() {
    const runs = this.#runsAfterwards && this.#download.status === "done";
    this.#runsAfterwards = false;
    if (this.#download.status === "done") this.#does.onArrived();
    if (runs) this.#does.run();
  }
}

function modelLine({ name, megabytes, licence, folder }) {
  const where = element("span", "interrogator-bank", filled(words().goesTo, { folder: shortPath(folder, 3, 1) }));
  where.title = folder;
  return element("li", "", `${name} (${inWords(megabytes)}, ${licence}) `, where);
}

/** For a machine without network: which repositories to fetch elsewhere, and where their files belong. */
function byHand(models) {
  const rows = models.map(({ page, folder }) => {
    const link = element("a", "", page);
    link.href = page;
    link.target = "_blank";
    link.rel = "noopener";
    const copy = button("interrogator-button", words().copyPath, `${words().copyPath}: ${folder}`, () =>
      copyText(folder),
    );
    return element("li", "", link, " → ", folder, " ", copy);
  });
  const summary = element("summary", "", words().byHand);
  return element("details", "interrogator-byhand", summary, words().byHandHint, element("ul", "", ...rows));
}

/** A size as `interrogator models` writes it. */
function inWords(megabytes) {
  return megabytes >= 100 ? `${(megabytes / 1000).toFixed(1)} GB` : `${Math.round(megabytes)} MB`;
}

/** The last parts of a path, without so many at its end. */
export function shortPath(path, parts, without = 0) {
  const all = path.split(/[\\/]/);
  const kept = all.slice(0, all.length - without).slice(-parts);
  return (kept.length < all.length - without ? "…/" : "") + kept.join("/");
}

/** What a sentence says of models: how much there is to download. */
export function sizeLine(models) {
  return filled(words().missing, { size: inWords(models.reduce((sum, model) => sum + model.megabytes, 0)) });
}

function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
