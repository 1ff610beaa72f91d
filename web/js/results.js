/**
 * The results of a run, as a node keeps them.
 *
 * They are saved in the workflow, and workflows come from anywhere: the input may have any shape and size.
 */

/**
 * A phrase, its bank, and its evidence or its cosine similarity to the image; a tag, its category, and its probability;
 * or a claim, the verdict on it, and its evidence.
 * @typedef {{text: string, bank: string, similarity: number}} Phrase
 */

/**
 * What the box shows for one image; empty parts are left out.
 * @typedef {object} Result
 * @property {string} text - what the copy button copies
 * @property {string} caption
 * @property {string} negative
 * @property {number | null} similarity - of the text and the image
 * @property {Phrase[]} phrases
 * @property {number | null} full - the number whose bar fills the width, 1 for probabilities; the largest one if null
 * @property {string[]} remarks - on the text, such as `cut`
 * @property {boolean} isNegative - whether the phrases are those that the image lacks
 * @property {number} phraseCount - of the run; more than the phrases if some were not kept
 * @property {string} thumbnail - name of a small picture of the image in ComfyUI's temp folder
 * @property {string} title - what it is of, such as the name of a picture
 * @property {string} failure - why there is no text
 * @property {string} report - address of the report of a dataset run, on this server only
 */

/**
 * @typedef {object} Results
 * @property {number} count - number of images in the run; more than the results if some were not kept
 * @property {Result[]} results
 */

const MOST_RESULTS = 100;
const MOST_PHRASES = 64;
const MOST_REMARKS = 8;
/** Longer than any prompt; a ranking of a thousand phrases comes close. */
const MOST_CHARACTERS = 32_000;

/** As `nodes/host.py` names them. */
const THUMBNAIL = /^[0-9a-f]{12}_\d{1,4}\.webp$/;
/** Where `nodes/report_page.py` answers; a workflow may not name any other address. */
const REPORT = /^\/interrogator\/report\/(input|output)\/[^/?#\\]+\/[0-9a-f]{12}\/report\.html$/;

/**
 * The results of a run, cut to what a workflow may carry.
 * @param {unknown} output - what the server sent: a list with one entry per image
 * @returns {Results}
 */
export function resultsOfRun(output) {
  const entries = asList(output);
  return { count: entries.length, results: entries.slice(0, MOST_RESULTS).map(readResult) };
}

/**
 * The results saved in a workflow; none if it contains anything else.
 * @param {unknown} kept
 * @returns {Results}
 */
export function resultsOfWorkflow(kept) {
  const { results } = resultsOfRun(kept?.results);
  return { count: Math.max(results.length, asNumber(kept?.count) ?? 0), results };
}

/** @returns {Result} */
function readResult(entry) {
  return {
    text: asText(entry?.text),
    caption: asText(entry?.caption),
    negative: asText(entry?.negative),
    similarity: asNumber(entry?.similarity),
    phrases: asList(entry?.phrases).slice(0, MOST_PHRASES).map(readPhrase),
    full: asNumber(entry?.full),
    remarks: asList(entry?.remarks).slice(0, MOST_REMARKS).map(asText),
    isNegative: (entry?.is_negative ?? entry?.isNegative) === true,
    phraseCount: Math.max(
      asList(entry?.phrases).length,
      asNumber(entry?.phrase_count) ?? 0,
      asNumber(entry?.phraseCount) ?? 0,
    ),
    thumbnail: THUMBNAIL.test(asText(entry?.thumbnail)) ? entry.thumbnail : "",
    title: asText(entry?.title),
    failure: asText(entry?.failure),
    report: REPORT.test(asText(entry?.report)) ? entry.report : "",
  };
}

/** @returns {Phrase} */
function readPhrase(phrase) {
  return {
    text: asText(phrase?.text),
    bank: asText(phrase?.bank),
    similarity: asNumber(phrase?.similarity) ?? 0,
  };
}

function asList(value) {
  return Array.isArray(value) ? value : [];
}

function asText(value) {
  return typeof value === "string" ? value.slice(0, MOST_CHARACTERS) : "";
}

/** Four decimals are enough for a cosine similarity and keep workflows small. */
function asNumber(value) {
  return Number.isFinite(value) ? Math.round(value * 10_000) / 10_000 : null;
}
