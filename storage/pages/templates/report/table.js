"use strict";
(() => {
  const table = document.querySelector("table.rows");
  if (!table) return;
  const STEP = 25;
  const LABELS = ["outlier", "normal"];
  const SHORT = { o: "outlier", n: "normal" };
  const rows = [...table.tBodies].filter((body) => body.classList.contains("row"));
  const divider = table.querySelector("tbody.cut");
  const noun = table.dataset.noun ?? "rows";
  const kind = table.dataset.kind ?? "kind"; // what groups them; empty where nothing does
  const date = table.dataset.date; // empty where rows cannot be labeled
  const store = "nightglass labels " + table.dataset.key;
  const labels = read();
  const view = { text: "", group: "", most: STEP, column: 0, down: false };
  let current = null;

  // --- elements
  function make(tag, text, properties = {}) {
    return Object.assign(document.createElement(tag), { textContent: text, ...properties });
  }
  function button(text, act, properties = {}) {
    return make("button", text, { type: "button", onclick: act, ...properties });
  }
  const keyOf = (row) => JSON.stringify([row.dataset.id, row.dataset.row]);
  const detailOf = (row) => row.querySelector("details");

  // --- labels: kept in this browser where it allows that, else until the page is closed
  function read() {
    try {
      return new Map(Object.entries(JSON.parse(localStorage.getItem(store)) ?? {}));
    } catch {
      return new Map();
    }
  }
  function keep() {
    try {
      localStorage.setItem(store, JSON.stringify(Object.fromEntries(labels)));
    } catch {
      // the page still holds them
    }
  }
  function label(row, word) {
    const key = keyOf(row);
    if (labels.get(key) === word) labels.delete(key);
    else labels.set(key, word);
    keep();
    showLabel(row);
    showCount();
  }
  function showLabel(row) {
    const found = labels.get(keyOf(row));
    row.dataset.label = found ?? "";
    for (const each of row.querySelectorAll("button.label"))
      each.setAttribute("aria-pressed", String(each.dataset.word === found));
  }
  const labeled = () => rows.filter((row) => LABELS.includes(labels.get(keyOf(row))));
  function cell(text) {
    return '"' + text.replaceAll('"', '""') + '"';
  }
  function csv() {
    const lines = labeled().map((row) =>
      [date, row.dataset.id, row.dataset.number ?? "", labels.get(keyOf(row))].map(cell).join(","));
    return ["date,id,row,label", ...lines, ""].join("\r\n");
  }
  function download() {
    const link = make("a", "", { download: "labels-" + date + ".csv" });
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // --- what is shown, in which order
  function matches(row) {
    if (view.group && row.dataset.group !== view.group) return false;
    row.text ??= row.textContent.toLowerCase();
    return row.text.includes(view.text);
  }
  function show() {
    const found = rows.filter(matches);
    for (const row of rows) row.hidden = true;
    for (const row of found.slice(0, view.most)) row.hidden = false;
    const ranked = view.column === 0 && !view.down && !view.text && !view.group;
    if (divider) divider.hidden = !ranked || !found.slice(0, view.most).some(follows);
    const left = Math.max(0, found.length - view.most);
    more.hidden = all.hidden = !left;
    more.textContent = "Show " + Math.min(STEP, left) + " more";
    all.textContent = "Show all " + found.length;
    const shown = found.length - left;
    state.textContent = found.length === rows.length && !left ? "" :
      shown + " of " + found.length + (found.length < rows.length ? " matching" : "") + " shown";
  }
  function follows(row) {
    return divider.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING;
  }
  function value(row) {
    const found = row.rows[0].cells[view.column];
    return found.dataset.value ?? found.textContent.trim();
  }
  function compare(one, other) {
    const [a, b] = [value(one), value(other)];
    const number = a !== "" && b !== "" ? a - b : NaN;
    const order = Number.isNaN(number) ? a.localeCompare(b, "en", { numeric: true }) : number;
    return view.down ? -order : order;
  }
  function sort(column) {
    view.down = view.column === column && !view.down;
    view.column = column;
    heads.forEach((head, index) => {
      if (index !== column) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    });
    rows.sort(compare);
    table.append(...rows);
    if (divider && column === 0 && !view.down)
      table.insertBefore(divider, rows.find((row) => !row.dataset.flagged));
    show();
  }
  function filter(group) {
    view.group = groups.value = group;
    view.most = STEP;
    show();
  }
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!rows.includes(target)) return;
    if (!matches(target)) clear();
    view.most = Math.max(view.most, rows.filter(matches).indexOf(target) + 1);
    show();
    open(target, true);
    select(target);
  }
  function open(row, wanted) {
    const detail = detailOf(row);
    if (detail) detail.open = wanted ?? !detail.open;
    else if (wanted === undefined) row.querySelector("a")?.click(); // shown elsewhere in the page
  }
  function clear() {
    view.text = search.value = "";
    filter("");
  }

  // --- the keyboard
  function select(row) {
    current?.classList.remove("current");
    current = row;
    row.classList.add("current");
    row.rows[0].tabIndex = -1;
    row.rows[0].focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
  function move(step) {
    const shown = rows.filter((row) => !row.hidden);
    const place = shown.indexOf(current);
    const next = place < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, place + step));
    if (shown[next]) select(shown[next]);
  }
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
    else if (event.key === "/") search.focus();
    else if (current && date && SHORT[event.key]) label(current, SHORT[event.key]);
    else if (event.key === "Enter" && current?.rows[0] === event.target)
      open(current);
    else return;
    event.preventDefault();
  }

  // --- controls exist only where this script runs
  const heads = [...table.tHead.rows[0].cells];
  for (const [index, head] of heads.entries()) {
    const text = head.textContent.trim();
    if (head.dataset.sort === undefined) continue;
    head.replaceChildren(button(text, () => sort(index), { className: "sort" }));
  }
  heads[0].setAttribute("aria-sort", "ascending");
  if (date) {
    table.tHead.rows[0].append(make("th", "label", { scope: "col" }));
    for (const row of rows) row.rows[0].append(labelCell(row));
    for (const wide of table.querySelectorAll(":scope > tbody > tr > td[colspan]")) wide.colSpan += 1;
  }
  function labelCell(row) {
    const found = make("td", "", { className: "labels" });
    for (const word of LABELS) {
      const each = button(word, () => label(row, word), { className: "label" });
      each.dataset.word = word;
      each.setAttribute("aria-label", word + ": " + row.dataset.name);
      found.append(each);
    }
    return found;
  }

  const search = make("input", "", { type: "search", placeholder: "Filter the " + noun });
  search.setAttribute("aria-label", "Filter the " + noun + " by text");
  search.oninput = () => {
    view.text = search.value.toLowerCase();
    view.most = STEP;
    show();
  };
  const groups = make("select", "");
  groups.setAttribute("aria-label", "Filter the " + noun + " by " + kind);
  groups.append(make("option", "any " + kind, { value: "" }));
  for (const each of new Set(rows.map((row) => row.dataset.group).filter(Boolean)))
    groups.append(make("option", kind + " " + each, { value: each }));
  groups.onchange = () => filter(groups.value);
  groups.hidden = groups.options.length < 2;
  const state = make("span", "", { className: "soft small" });
  state.setAttribute("role", "status");
  const saved = make("span", "", { className: "soft small" });
  saved.setAttribute("role", "status");
  const save = button("Download labels", download);
  const tools = make("div", "", { className: "tools" });
  tools.append(search, groups, state);
  if (date) tools.append(saved, save);
  const keys = make("p", "Keys: j and k move, Enter opens" +
    (date ? ", o and n label as outlier or normal" : "") + ", / filters.",
    { className: "soft small keys" });
  const more = button("", () => { view.most += STEP; show(); });
  const all = button("", () => { view.most = Infinity; show(); });
  const foot = make("div", "", { className: "tools foot" });
  foot.append(more, all);
  const frame = table.parentElement;
  frame.before(tools, keys);
  frame.after(foot);
  function showCount() {
    const count = labeled().length;
    save.disabled = !count;
    saved.textContent = count ? count + " labeled" : "";
  }

  for (const link of document.querySelectorAll("a[data-group]"))
    link.addEventListener("click", () => filter(link.dataset.group));
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", reveal);
  rows.forEach(showLabel);
  showCount();
  show();
  reveal();
})();
