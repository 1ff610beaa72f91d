/** Extends the handlers of a node, which other packs may have set before. */

/**
 * A handler that calls the previous handler, then another function.
 * @param {Function | undefined} before
 * @param {Function} more
 * @returns {Function}
 */
export function after(before, more) {
  return function (...args) {
    before?.apply(this, args);
    more(...args);
  };
}
