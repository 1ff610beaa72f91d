"use strict";
// Captions are text of unknown origin: they reach the page by textContent and nothing else.
(() => {
  const PER_PAGE = 60;
  const LONG = 400; // characters of a caption shown at first
  const byId = (id) => document.getElementById(id);
  const read = (id) => {
    const element = byId(id);
    const value = JSON.parse(element.textContent);
    element.remove(); // a large run's text need not be kept twice
    return value;
  };
  const run = read("run");
  const records = read("records");
  const kinds = new Map(run.findings.map((finding) => [finding.id, finding]));
  const collator = new Intl.Collator(undefined, { numeric: true });
  const view = { list: records, page: 0 };
  const number = (value) => value.toLocaleString("en");
  const plain = (name) => name.replaceAll("_", " ");

  function create(tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  function append(parent, ...children) {
    parent.append(...children.filter(Boolean));
    return parent;
  }

  // Text that may run from right to left; its direction ends with it.
  function createText(tag, text, className) {
    const element = create(tag, text, className);
    element.dir = "auto";
    return element;
  }

  function overview() {
    byId("title").textContent = run.title;
    document.title = run.title;
    const counts = [["pictures", run.total], ...Object.entries(run.statuses)];
    append(
      byId("counts"),
      ...counts.map(([name, count]) => append(create("li"), create("b", number(count)), ` ${name}`)),
    );
    byId("none").hidden = run.findings.length > 0;
    append(byId("findings"), ...run.findings.map((finding) => append(create("li"), findingButton(finding))));
    for (const [reason, count] of Object.entries(run.reasons))
      append(byId("reasons"), append(create("tr"), create("td", number(count)), createText("td", reason)));
    byId("reasons-box").hidden = !Object.keys(run.reasons).length;
    for (const [name, score] of Object.entries(run.scores)) {
      const row = append(create("tr"), create("th", plain(name)), create("td", number(score.count)));
      row.firstChild.scope = "row";
      const values = [score.mean, score.deviation, score.lowest, score.fifth_percentile, score.median, score.highest];
      append(byId("scores"), append(row, ...values.map((value) => create("td", value.toFixed(3)))));
    }
    byId("scores-box").hidden = !Object.keys(run.scores).length;
    for (const { text, bank, share } of run.common || []) {
      const row = append(create("tr"), createText("th", text), createText("td", bank));
      append(row, create("td", `${Math.round(100 * share)} %`));
      row.firstChild.scope = "row";
      append(byId("common"), row);
    }
    byId("common-box").hidden = !(run.common || []).length;
    for (const { text, category, count } of run.tags || []) {
      const row = append(create("tr"), createText("th", text), create("td", category), create("td", number(count)));
      row.firstChild.scope = "row";
      append(byId("tags"), row);
    }
    byId("tags-box").hidden = !(run.tags || []).length;
    byId("left-out").hidden = run.total <= records.length;
    byId("left-out").textContent =
      `This page shows the ${number(records.length)} pictures that most need a look, out of ${number(run.total)}. The records of all pictures are in the run's folder.`;
    settings(run.settings, "");
    choices(byId("status"), [["", "Any"], ...Object.keys(run.statuses).map((name) => [name, name])]);
    choices(byId("finding"), [["", "Any"], ...run.findings.map((finding) => [finding.id, finding.title])]);
    for (const name of Object.keys(run.scores))
      append(byId("order"), option(`low:${name}`, `Lowest ${plain(name)} score`));
  }

  function findingButton(finding) {
    const button = create("button", undefined, finding.severity);
    button.type = "button";
    button.dataset.finding = finding.id;
    button.setAttribute("aria-pressed", "false");
    const title = append(createText("span", finding.title, "title"), create("span", finding.severity, "kind"));
    append(button, create("span", number(finding.count), "number"), title, create("span", finding.text, "text"));
    button.addEventListener("click", () => {
      byId("finding").value = byId("finding").value === finding.id ? "" : finding.id;
      refresh();
      if (byId("finding").value) byId("pictures-title").scrollIntoView();
    });
    return button;
  }

  function settings(values, before) {
    for (const [name, value] of Object.entries(values)) {
      if (value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length)
        settings(value, `${before + plain(name)} \u203a `);
      else
        append(
          byId("settings"),
          create("dt", before + plain(name)),
          createText("dd", typeof value === "string" ? value : JSON.stringify(value)),
        );
    }
  }

  function option(value, text) {
    const element = create("option", text);
    element.value = value;
    return element;
  }

  function choices(select, pairs) {
    append(select, ...pairs.map(([value, text]) => option(value, text)));
  }

  function picture(record) {
    const item = create("li", undefined, `picture ${record.status}`);
    const text = append(create("div"), createText("h3", record.key), caption(record));
    text.firstChild.title = record.key;
    if (record.reason) append(text, createText("p", record.reason, "reason"));
    append(text, marks(record), others(record), forEncoders(record), own(record), tags(record), previous(record));
    const long = (record.caption || "").length > LONG;
    if (long) append(text, unfold(item));
    item.classList.toggle("long", long);
    return append(item, thumbnail(record), text);
  }

  function caption(record) {
    if (record.caption) return marked(record.caption, record.unsupported || []);
    return record.status === "failed" ? null : create("p", "empty caption", "caption empty");
  }

  // The caption with the words marked that the picture does not support.
  function marked(text, claims) {
    const paragraph = createText("p", "", "caption");
    const lower = text.toLowerCase();
    const spans = claims
      .map((words) => [lower.indexOf(words.toLowerCase()), words.length])
      .filter(([start]) => start >= 0)
      .sort((a, b) => a[0] - b[0]);
    let end = 0;
    for (const [start, length] of spans) {
      if (start < end) continue;
      const mark = create("mark", text.slice(start, start + length));
      mark.title = "the picture does not support this";
      paragraph.append(text.slice(end, start), mark);
      end = start + length;
    }
    paragraph.append(text.slice(end));
    return paragraph;
  }

  function thumbnail(record) {
    const frame = create("div", undefined, "thumb");
    const source =
      record.thumbnail ||
      (record.number === undefined ? "" : `${run.folder}/${Math.floor(record.number / 1000)}/${record.number}.jpg`);
    if (!source) return append(frame, create("span", "no thumbnail"));
    const image = create("img");
    image.alt = "";
    image.loading = "lazy";
    image.decoding = "async";
    image.src = source;
    image.addEventListener("error", () => image.replaceWith(create("span", "no thumbnail")));
    return append(frame, image);
  }

  function marks(record) {
    const list = create("ul", undefined, "marks");
    append(list, create("li", record.status, record.status === "failed" ? "error" : record.status));
    for (const [name, score] of Object.entries(record.scores || {}))
      append(list, create("li", `${plain(name)} ${score.toFixed(3)}`));
    if (record.tokens) append(list, create("li", `${number(record.tokens)} tokens`));
    if (record.width) append(list, create("li", `${record.width} \u00d7 ${record.height}`));
    for (const id of record.findings || [])
      if (id !== "failed" && kinds.has(id) && !kinds.get(id).fragment)
        append(list, createText("li", kinds.get(id).title, kinds.get(id).severity));
    for (const flag of record.flags || [])
      if (!(record.findings || []).includes(flag)) append(list, createText("li", plain(flag), "note"));
    return list;
  }

  function others(record) {
    if ((record.captions || []).length < 2) return null;
    const list = append(create("ol"), ...record.captions.map((text) => createText("li", text)));
    return append(create("details"), create("summary", `${record.captions.length} captions`), list);
  }

  // The text of each text encoder of an image model.
  function forEncoders(record) {
    if (!record.texts) return null;
    const list = create("dl", undefined, "settings");
    for (const [encoder, text] of Object.entries(record.texts))
      append(list, create("dt", encoder), createText("dd", text));
    return append(create("details"), create("summary", `${Object.keys(record.texts).length} encoders`), list);
  }

  // What holds for this picture and for few others.
  function own(record) {
    if (!record.distinctive) return null;
    const list = record.distinctive.map((text) => createText("li", text));
    return append(create("details"), create("summary", "Its own"), append(create("ul"), ...list));
  }

  function tags(record) {
    if (!record.tags) return null;
    const list = record.tags.map(([text, probability]) => createText("li", `${text} ${probability.toFixed(2)}`));
    return append(
      create("details"),
      create("summary", `${list.length} ${list.length === 1 ? "tag" : "tags"}`),
      append(create("ul"), ...list),
    );
  }

  function previous(record) {
    if (!record.existing || record.existing === record.caption) return null;
    return append(create("details"), create("summary", "Previous caption"), createText("p", record.existing, "reason"));
  }

  function unfold(item) {
    const button = create("button", "Show more", "more");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const open = item.classList.toggle("open");
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Show less" : "Show more";
    });
    return button;
  }

  // What the text filter searches; built when it is first needed.
  function searchText(record) {
    if (record.searched === undefined) {
      const parts = [
        record.key,
        record.caption,
        record.reason,
        record.existing,
        ...(record.flags || []).map(plain),
        ...(record.captions || []),
        ...(record.distinctive || []),
        ...(record.tags || []).map(([text]) => text),
      ];
      record.searched = parts.filter(Boolean).join("\n").toLowerCase();
    }
    return record.searched;
  }

  const orders = {
    name: (a, b) => collator.compare(a.key, b.key),
    longest: (a, b) => (b.caption || "").length - (a.caption || "").length,
    shortest: (a, b) => (a.caption || "").length - (b.caption || "").length,
  };

  function lowest(name) {
    const of = (record) => (record.scores && name in record.scores ? record.scores[name] : Infinity);
    return (a, b) => (of(a) === of(b) ? 0 : of(a) - of(b));
  }

  // Pictures of one group are listed together.
  function grouped(finding) {
    const indices = new Map(finding.groups.flat().map((key, index) => [key, index]));
    const of = (record) => indices.get(record.key) ?? Infinity;
    return (a, b) => (of(a) === of(b) ? 0 : of(a) - of(b));
  }

  function refresh() {
    const words = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = byId("status").value;
    const finding = byId("finding").value;
    const order = byId("order").value;
    view.list = records.filter(
      (record) =>
        (!status || record.status === status) &&
        (!finding || (record.findings || []).includes(finding)) &&
        words.every((word) => searchText(record).includes(word)),
    );
    if (order !== "worst") view.list.sort(order.startsWith("low:") ? lowest(order.slice(4)) : orders[order]);
    else if (finding === "unsupported") view.list.sort(lowest("evidence"));
    else if (kinds.get(finding)?.groups.length) view.list.sort(grouped(kinds.get(finding)));
    view.page = 0;
    for (const button of byId("findings").querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.finding === finding));
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(view.list.length / PER_PAGE));
    const first = view.page * PER_PAGE;
    byId("pictures").replaceChildren(...view.list.slice(first, first + PER_PAGE).map(picture));
    byId("shown").textContent =
      view.list.length === records.length
        ? number(records.length) + (records.length === 1 ? " picture" : " pictures")
        : `${number(view.list.length)} of ${number(records.length)} pictures`;
    for (const label of document.querySelectorAll(".page"))
      label.textContent = `Page ${number(view.page + 1)} of ${number(pages)}`;
    for (const button of document.querySelectorAll("[data-step]")) {
      const next = view.page + Number(button.dataset.step);
      button.disabled = next < 0 || next >= pages;
    }
  }

  function turn(button) {
    view.page += Number(button.dataset.step);
    show();
    byId("pictures-title").scrollIntoView();
    if (button.disabled) byId("pictures").focus({ preventScroll: true });
  }

  let waiting;
  byId("text").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 120);
  });
  byId("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    refresh();
  });
  byId("filter").addEventListener("reset", () => setTimeout(refresh, 0));
  for (const id of ["status", "finding", "order"]) byId(id).addEventListener("change", refresh);
  for (const button of document.querySelectorAll("[data-step]")) button.addEventListener("click", () => turn(button));
  overview();
  refresh();
})();
