/** Stands in for ComfyUI's `scripts/api.js`: what our scripts use of it. */

const listeners = {};

export const api = {
  /** What was asked: `[address, body]`, body undefined for GET. */
  asked: [],
  /** What the server answers, by address without a query; what it lacks never comes. */
  answers: {},
  addEventListener(event, listener) {
    listeners[event] = [...(listeners[event] ?? []), listener];
  },
  /** What the server does when it tells something. */
  tell(event, detail) {
    for (const listener of listeners[event] ?? []) listener({ detail });
  },
  async fetchApi(address, { body } = {}) {
    api.asked.push([address, body && JSON.parse(body)]);
    const [path] = address.split("?");
    if (!(path in api.answers)) throw new TypeError("Failed to fetch");
    return { ok: true, json: async () => api.answers[path] };
  },
  fileURL: (address) => `/base${address}`,
};

/** As it was before any test; who listens goes on. */
export function resetApi() {
  api.asked.length = 0;
  for (const path of Object.keys(api.answers)) delete api.answers[path];
}
