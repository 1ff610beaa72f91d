/**
 * What a run found, as a node keeps it.
 *
 * It is kept in the workflow, and workflows come from anywhere: whatever is read here may have any shape and any size.
 */

/**
 * A phrase, the bank it stands in, and its cosine similarity with the image.
 * @typedef {{text: string, bank: string, similarity: number}} Phrase
 */

/**
 * What is shown of one image; empty parts are left out.
 * @typedef {object} Result
 * @property {string} text - what the copy button copies
 * @property {string} caption
 * @property {string} negative
 * @property {number | null} similarity - of the text and the image
 * @property {Phrase[]} phrases
 */

/**
 * @typedef {object} Results
 * @property {number} count - of images in the run; more than there are results where some were not kept
 * @property {Result[]} results
 */

const MOST_RESULTS = 100;
const MOST_PHRASES = 64;
/** More than any prompt has; a ranking of a thousand phrases comes near. */
const MOST_CHARACTERS = 32_000;

/**
 * The results of a run, cut to what a workflow may carry.
 * @param {unknown} output - what the server sent: a list with one entry an image
 * @returns {Results}
 */
export function resultsOfRun(output) {
  const entries = asList(output);
  return { count: entries.length, results: entries.slice(0, MOST_RESULTS).map(readResult) };
}

/**
 * The results that a workflow carries; none where it carries anything else.
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

/** Four digits say all that a cosine similarity has to say, and keep workflows small. */
function asNumber(value) {
  return Number.isFinite(value) ? Math.round(value * 10_000) / 10_000 : null;
}
