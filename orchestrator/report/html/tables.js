// Tables that come with the data: what is folded away is written once the page has been unpacked.

function made(name, text = "", className = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function cellOf(text, column, flags) {
  const cell = made("td");
  const parts = column === "flags" ? text.split(", ") : [];
  if (!parts.length || !parts.every(flag => flags[flag])) { cell.textContent = text; return cell; }
  parts.forEach((flag, index) => {
    const link = made("a", flag);
    link.href = `#${flags[flag]}`;
    cell.append(...(index ? [", ", link] : [link]));
  });
  return cell;
}

function writeTable(place, table, flags) {
  const head = made("div", "", "head"), copy = made("button", "Copy as CSV");
  head.append(made("h4", table.title));
  place.append(head);
  if (table.rows.length) {
    copy.type = "button"; copy.dataset.copy = ""; copy.setAttribute("aria-label", `Copy as CSV: ${table.title}`);
    head.append(copy);
    const scroll = made("div", "", "scroll"), written = made("table"), top = made("thead"), body = made("tbody"), names = made("tr");
    scroll.setAttribute("role", "region"); scroll.tabIndex = 0; scroll.setAttribute("aria-label", table.title);
    for (const column of table.columns) { const name = made("th", column); name.scope = "col"; names.append(name); }
    top.append(names);
    for (const row of table.rows) { const line = made("tr"); line.append(...row.map((text, index) => cellOf(text, table.columns[index], flags))); body.append(line); }
    for (const line of [names, ...body.rows]) for (const index of table.right) line.cells[index].classList.add("number");
    written.append(top, body); scroll.append(written); place.append(scroll);
  }
  if (table.note) place.append(made("p", table.note, "note"));
  if (table.within !== null) place.dataset.within = table.within;
}
