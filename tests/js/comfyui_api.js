/** Stands in for ComfyUI's `scripts/api.js`: what our scripts use of it. */

const listeners = {};

export const api = {
  /** What the server answers, by address. */
  answers: {},
  addEventListener(event, listener) {
    listeners[event] = [...(listeners[event] ?? []), listener];
  },
  /** What the server does when it tells something. */
  tell(event, detail) {
    for (const listener of listeners[event] ?? []) listener({ detail });
  },
  async fetchApi(address) {
    if (!(address in api.answers)) throw new TypeError("Failed to fetch");
    return { json: async () => api.answers[address] };
  },
  fileURL: (address) => `/base${address}`,
};
