/** Stands in for ComfyUI's `scripts/api.js`: hears events, and answers requests as a test says. */

export const api = {
  /** What was asked: `[path, body]`, body undefined for GET. */
  asked: [],
  /** By path, what the server answers; a function is called with the body, an Error is an answer that never came. */
  answers: {},
  events: new EventTarget(),
  addEventListener: (name, listener) => api.events.addEventListener(name, listener),
  async fetchApi(path, { body } = {}) {
    const said = body === undefined ? undefined : JSON.parse(body);
    api.asked.push([path, said]);
    const answer = api.answers[path.split("?")[0]];
    const content = typeof answer === "function" ? answer(said) : answer;
    if (content instanceof Error) throw content;
    return { ok: content !== undefined && !content.error, json: async () => content ?? {} };
  },
};

export function resetApi() {
  api.asked.length = 0;
  api.answers = {};
}
