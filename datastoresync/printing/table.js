// The interactive table of a diff. Only the rows in view are in the document; whatever is shown is text, never markup.
const HEIGHT = 26, SPARE = 8, LONGEST = 400;
const COLUMNS = ["verb", "branch", "key", "attr", "old", "new"];
const NAMES = { verb: "verbs", branch: "branches", attr: "attrs", old: "olds", new: "news" };
const SIGNS = { new: "+", add: "+", update: "~", old: "−", remove: "−" };
const COLOURS = { new: "green", add: "green", update: "yellow", old: "red", remove: "red" };
const collator = new Intl.Collator(undefined, { numeric: true });
let tables = 0;

function element(tag, properties = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in found && name !== "role") found[name] = value;
    else found.setAttribute(name, value);
  }
  found.append(...children);
  return found;
}

const bytesOf = (view) => new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);

/** Return [text, changed] pieces of both texts: the words that differ, or everything if little is equal. */
export function words(before, after) {
  const [left, right] = [before, after].map((text) => text.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? []);
  const shorter = Math.min(left.length, right.length);
  let start = 0, end = 0;
  while (start < shorter && left[start] === right[start]) start++;
  while (end < shorter - start && left[left.length - 1 - end] === right[right.length - 1 - end]) end++;
  const middle = [left.slice(start, left.length - end), right.slice(start, right.length - end)];
  const kept = commonWords(...middle);
  const equal = (list) => list.join("").length;
  const same = equal(left.slice(0, start)) + equal(kept[2]) + equal(end ? left.slice(-end) : []);
  if (2 * same < Math.max(before.length, after.length)) return [[[before, true]], [[after, true]]];
  return [left, right].map((list, side) => {
    const pieces = [];
    list.forEach((word, index) => {
      const inside = index >= start && index < list.length - end;
      const changed = inside && !kept[side].has(index - start);
      if (pieces.length && pieces.at(-1)[1] === changed) pieces.at(-1)[0] += word;
      else pieces.push([word, changed]);
    });
    return pieces;
  });
}

/** Return the indices in each list of a longest common subsequence, and its words; none of long lists. */
function commonWords(left, right) {
  const kept = [new Set(), new Set(), []];
  if (left.length > LONGEST || right.length > LONGEST) return kept;
  const wide = right.length + 1, lengths = new Uint16Array((left.length + 1) * wide);
  for (let i = left.length - 1; i >= 0; i--)
    for (let j = right.length - 1; j >= 0; j--)
      lengths[i * wide + j] = left[i] === right[j] ? lengths[(i + 1) * wide + j + 1] + 1
        : Math.max(lengths[(i + 1) * wide + j], lengths[i * wide + j + 1]);
  for (let i = 0, j = 0; i < left.length && j < right.length;) {
    if (left[i] === right[j]) { kept[0].add(i++); kept[1].add(j); kept[2].push(right[j++]); }
    else if (lengths[(i + 1) * wide + j] >= lengths[i * wide + j + 1]) i++;
    else j++;
  }
  return kept;
}

function marked(pieces, tag, colour) {
  const className = `dss-${colour}${pieces.length > 1 ? " dss-part" : ""}`;
  return pieces.map(([text, changed]) => (changed ? element(tag, { className, textContent: text }) : text));
}

/** Return the nodes of the old and of the new value. */
function values(old, fresh) {
  const [left, right] = old && fresh ? words(old, fresh) : [[[old, true]], [[fresh, true]]];
  return [old ? marked(left, "del", "red") : [], fresh ? marked(right, "ins", "green") : []];
}

/** The rows: their texts, and the order and selection of those that are shown. */
class Rows {
  constructor(data) {
    this.data = data;
    this.total = data.verb.length;
    this.order = Uint32Array.from({ length: this.total }, (_, row) => row);
    this.shown = this.order;
    this.sorted = ["", 1];
  }

  /** Return the texts that a column has the numbers of; nothing if it has texts itself. */
  names(column) { return this.data[NAMES[column]]; }

  text(row, column) {
    const names = this.names(column);
    return names ? names[this.data[column][row]] : this.data[column][row];
  }

  sort(column) {
    const ways = { "": 1, 1: -1, "-1": "" }; // up, down, as it came
    const way = this.sorted[0] === column ? ways[this.sorted[1]] : 1;
    this.sorted = way ? [column, way] : ["", 1];
    this.order = Uint32Array.from({ length: this.total }, (_, row) => row);
    if (!way) return;
    const names = this.names(column);
    if (names) {
      const numbers = this.data[column];
      const ranks = names.map((_, number) => number);
      if (column !== "verb") ranks.sort((one, other) => collator.compare(names[one], names[other]));
      const rank = []; // of each number
      ranks.forEach((number, index) => { rank[number] = index; });
      this.order.sort((one, other) => way * (rank[numbers[one]] - rank[numbers[other]]) || one - other);
    } else {
      const texts = this.data[column];
      this.order.sort((one, other) => way * collator.compare(texts[one], texts[other]) || one - other);
    }
  }

  /** Return the texts of a column in lower case. */
  lowered(column) {
    return (this.lower ??= {})[column] ??= (this.names(column) ?? this.data[column]).map((text) => text.toLowerCase());
  }

  /** Return a function that says whether a row has a term, which has no blank in it, in one of its columns. */
  finder(term) {
    const found = COLUMNS.map((column) => {
      const texts = this.lowered(column), numbers = this.data[column];
      if (!this.names(column)) return (row) => texts[row].includes(term);
      const has = texts.map((text) => text.includes(term));
      return (row) => has[numbers[row]];
    });
    return (row) => found.some((has) => has(row));
  }

  filter({ words: sought, verb, branch, keep }) {
    const { data } = this, terms = sought.toLowerCase().split(/\s+/).filter(Boolean).map((term) => this.finder(term));
    this.shown = this.order.filter((row) =>
      (verb < 0 || data.verb[row] === verb) && (branch < 0 || data.branch[row] === branch) && keep(row)
      && terms.every((has) => has(row)));
  }
}

/** Which rows are ticked: a bit each, as the kernel has them. */
class Ticks {
  constructor(model, total) {
    this.model = model;
    this.total = total;
    this.read();
  }

  read() {
    this.bits = new Uint8Array((this.total + 7) >> 3);
    const found = this.model.get("ticked");
    if (found) this.bits.set(bytesOf(found).subarray(0, this.bits.length));
    this.count = 0;
    for (let byte of this.bits) for (; byte; byte &= byte - 1) this.count++;
  }

  has(row) { return (this.bits[row >> 3] >> (row & 7)) & 1; }

  set(rows, on) {
    for (const row of rows) {
      if (on) this.bits[row >> 3] |= 1 << (row & 7);
      else this.bits[row >> 3] &= ~(1 << (row & 7));
    }
    this.model.set("ticked", new DataView(this.bits.slice().buffer));
    this.model.save_changes();
  }
}

function select(label, names, counts) {
  const options = names.map((name, value) => [name, value]).filter(([, value]) => counts[value]).map(([name, value]) =>
    element("option", { value: String(value), textContent: `${name} (${counts[value].toLocaleString("en")})` }));
  return element("select", { "aria-label": label }, element("option", { value: "-1", textContent: label }), ...options);
}

function counted(numbers) {
  const counts = [];
  for (const number of numbers) counts[number] = (counts[number] ?? 0) + 1;
  return counts;
}

class Table {
  constructor(model, root) {
    const data = JSON.parse(new TextDecoder().decode(bytesOf(model.get("rows"))));
    this.rows = new Rows(data);
    this.ticks = new Ticks(model, this.rows.total);
    this.id = `dss-table-${++tables}`;
    this.active = 0; // a position among the rows that are shown
    this.columns = COLUMNS.filter((column) => column !== "branch" || data.branches.length > 1);
    this.build(root, data);
    this.refilter();
    // So that the first word typed is as quick as the others.
    setTimeout(() => COLUMNS.forEach((column) => this.rows.lowered(column)), 300);
  }

  build(root, data) {
    this.search = element("input", { type: "search", placeholder: "filter", "aria-label": "filter: all of these words" });
    this.verbs = select("all changes", data.verbs, counted(data.verb));
    this.branches = select("all branches", data.branches, counted(data.branch));
    this.branches.hidden = data.branches.length < 2;
    this.only = element("input", { type: "checkbox" });
    this.status = element("span", { role: "status", className: "dss-muted" });
    this.bar = element("div", { className: "dss-bar" }, this.search, this.verbs, this.branches,
      element("label", {}, this.only, " ticked only"), this.status);
    this.every = element("input", { type: "checkbox", "aria-label": "tick all rows that are shown", tabIndex: 0 });
    this.heads = this.columns.map((column) => element("div", { role: "columnheader", "aria-sort": "none" },
      element("button", { type: "button", textContent: { verb: "change", attr: "attribute" }[column] ?? column })));
    const head = element("div", { role: "row", className: "dss-row dss-head", "aria-rowindex": 1 },
      element("div", { role: "columnheader" }, this.every), ...this.heads);
    this.body = element("div", { role: "rowgroup", className: "dss-body" });
    this.grid = element("div", { role: "grid", className: "dss-window", tabIndex: 0, "aria-label": data.title,
      "aria-multiselectable": "true", "aria-colcount": this.columns.length + 1,
      "aria-describedby": `${this.id}-keys` }, element("div", { role: "rowgroup" }, head), this.body);
    this.details = element("div", { role: "group", className: "dss-details", "aria-label": "the chosen change in full" });
    const keys = element("div", { id: `${this.id}-keys`, className: "dss-muted dss-keys",
      textContent: "arrows: move, space: tick, shift with arrows: tick on the way" });
    root.append(element("div", { className: `dss-outline dss-table${this.columns.includes("branch") ? " dss-branches" : ""}`,
      "data-lm-suppress-shortcuts": "true" }, // JupyterLab's own keys stay out of it
      element("div", { className: "dss-heading", textContent: data.title }), this.bar, this.grid, this.details, keys));
    this.listen();
  }

  listen() {
    this.search.addEventListener("input", () => this.refilter());
    for (const one of [this.verbs, this.branches, this.only]) one.addEventListener("change", () => this.refilter());
    this.heads.forEach((head, index) => head.firstChild.addEventListener("click", () => {
      this.rows.sort(this.columns[index]);
      this.refilter();
    }));
    this.every.addEventListener("change", () => this.tick(this.rows.shown, this.every.checked));
    this.grid.addEventListener("scroll", () => this.draw(), { passive: true });
    this.grid.addEventListener("keydown", (event) => this.press(event));
    this.body.addEventListener("click", (event) => this.click(event));
  }

  press(event) {
    if (event.target !== this.grid) return;
    const page = Math.max(1, Math.floor((this.grid.clientHeight - HEIGHT) / HEIGHT) - 1), last = this.rows.shown.length - 1;
    const moves = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page,
      PageUp: this.active - page, Home: 0, End: last };
    if (event.key in moves) this.move(moves[event.key], event.shiftKey);
    else if (event.key === " " && last >= 0) this.toggle(this.active);
    else return;
    event.preventDefault();
  }

  move(position, ticking) {
    const before = this.active;
    this.active = Math.max(0, Math.min(position, this.rows.shown.length - 1));
    if (ticking) {
      const ends = [before, this.active].sort((one, other) => one - other);
      this.tick(this.rows.shown.subarray(ends[0], ends[1] + 1), true);
    }
    const top = this.active * HEIGHT, room = this.grid.clientHeight - 2 * HEIGHT;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top > this.grid.scrollTop + room) this.grid.scrollTop = top - room;
    this.draw();
  }

  click(event) {
    const row = event.target.closest("[data-position]");
    if (!row) return;
    const position = Number(row.dataset.position);
    if (event.target.type === "checkbox") this.toggle(position);
    else this.move(position, event.shiftKey);
    this.grid.focus({ preventScroll: true });
  }

  toggle(position) {
    const row = this.rows.shown[position];
    this.active = position;
    this.tick([row], !this.ticks.has(row));
  }

  tick(rows, on) {
    this.ticks.set(rows, on);
    this.reread();
  }

  /** Show ticks as they are now, here or in the kernel. */
  reread() {
    this.ticks.read();
    if (this.only.checked) this.refilter();
    else this.draw();
  }

  refilter() {
    const { rows, ticks } = this, only = this.only.checked;
    rows.filter({ words: this.search.value, verb: Number(this.verbs.value), branch: Number(this.branches.value),
      keep: (row) => !only || ticks.has(row) });
    this.active = 0;
    this.grid.scrollTop = 0;
    this.body.style.height = `${Math.max(1, rows.shown.length) * HEIGHT}px`;
    this.grid.setAttribute("aria-rowcount", rows.shown.length + 1);
    this.heads.forEach((head, index) => {
      const way = rows.sorted[0] === this.columns[index] ? rows.sorted[1] : 0;
      head.setAttribute("aria-sort", { 1: "ascending", "-1": "descending" }[way] ?? "none");
    });
    this.draw();
  }

  draw() {
    const { rows, ticks, grid } = this, all = rows.shown;
    const first = Math.max(0, Math.floor(grid.scrollTop / HEIGHT) - SPARE);
    const end = Math.min(all.length, first + Math.ceil((grid.clientHeight || 400) / HEIGHT) + 2 * SPARE);
    const lines = [];
    for (let position = first; position < end; position++) lines.push(this.line(position));
    if (!all.length) lines.push(element("div", { role: "row", className: "dss-row" },
      element("div", { role: "gridcell", className: "dss-muted dss-none", textContent: "nothing matches" })));
    this.body.replaceChildren(...lines);
    const inView = this.active >= first && this.active < end;
    if (inView) grid.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else grid.removeAttribute("aria-activedescendant");
    const number = (count) => count.toLocaleString("en");
    const words = `${number(all.length)} of ${number(rows.total)} shown, ${number(ticks.count)} ticked`;
    if (this.status.textContent !== words) this.status.textContent = words;
    let here = 0;
    if (ticks.count) for (const row of all) here += ticks.has(row);
    this.every.checked = here > 0 && here === all.length;
    this.every.indeterminate = here > 0 && here < all.length;
    this.detail();
  }

  line(position) {
    const row = this.rows.shown[position], on = Boolean(this.ticks.has(row));
    const text = (column) => this.rows.text(row, column);
    const [old, fresh] = values(text("old"), text("new"));
    const cell = (column) => {
      const name = text(column), colour = column === "verb" ? ` dss-mark dss-${COLOURS[name]}` : "";
      const content = { old, new: fresh }[column] ?? [column === "verb" ? `${SIGNS[name]} ${name}` : name];
      return element("div", { role: "gridcell", className: `dss-cell${colour}` }, ...content);
    };
    const label = ["tick", text("verb"), text("branch"), text("key"), text("attr")].filter(Boolean).join(" ");
    const box = element("input", { type: "checkbox", checked: on, tabIndex: -1, "aria-label": label });
    const line = element("div", { role: "row", id: `${this.id}-${position}`, "aria-rowindex": position + 2,
      "aria-selected": String(on), className: `dss-row${position === this.active ? " dss-active" : ""}`,
      "data-position": position }, element("div", { role: "gridcell" }, box), ...this.columns.map(cell));
    line.style.top = `${position * HEIGHT}px`;
    return line;
  }

  detail() {
    const row = this.rows.shown[this.active];
    if (row === this.detailed) return;
    this.detailed = row;
    if (row === undefined) return this.details.replaceChildren();
    const text = (column) => this.rows.text(row, column);
    const head = [SIGNS[text("verb")], text("verb"), text("branch"), text("key"), text("attr")].filter(Boolean).join(" ");
    const sides = values(text("old"), text("new")).map((content, side) => element("div", {},
      element("div", { className: "dss-muted", textContent: side ? "new" : "old" }),
      element("div", { className: "dss-value" }, ...content)));
    this.details.replaceChildren(element("div", { className: "dss-heading", textContent: head }),
      element("div", { className: "dss-sides" }, ...sides));
  }
}

function render({ model, el }) {
  const table = new Table(model, el);
  const reread = () => table.reread();
  model.on("change:ticked", reread);
  return () => model.off("change:ticked", reread);
}

export default { render };
