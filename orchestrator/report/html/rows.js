// Tables: the ranking that the slider moves, and copies as CSV.
const LEFT = 5, WIDTH = 150;

function commonNear(task, clock) {
  const far = index => Math.abs(Math.log(clock.ns[index] / shownAt(task)));
  const named = clock.labels.map((label, index) => index).filter(index => clock.labels[index]);
  if (!named.length) return NaN;
  const names = clock.labels[named.reduce((best, index) => far(index) < far(best) ? index : best)].split(", ");
  const first = Object.values(task.clocks)[0];
  return first.ns[first.labels.findIndex(label => label.split(", ").some(name => name && names.includes(name)))];
}

function dots(row, figures, at, top) {
  const along = value => String(Math.round(100 * (LEFT + WIDTH * Math.min(1, Math.max(0, value / top)))) / 100);
  const set = (name, ...places) => {
    const line = row.querySelector(`.dots .${name}`);
    if (line.tagName === "circle") line.setAttribute("cx", along(places[0]));
    else { line.setAttribute("x1", along(places[0])); line.setAttribute("x2", along(places.at(-1))); }
  };
  set("ideal", figures.ideal); set("interval", figures.low[at], figures.high[at]); set("worst", figures.worst[at]); set("mean", figures.mean[at]);
}

// The state of a trial that is done or has no flag of that name, its flags, and that its interval is wide.
function status(cell, flags, state) {
  const links = flags.map(([anchor, flag]) => {
    const link = document.createElement("a");
    link.href = `#${anchor}`; link.textContent = flag;
    return link;
  });
  const parts = flags.some(([, flag]) => flag === state) ? links : [state, ...links];
  cell.replaceChildren(...parts.flatMap((part, index) => index ? [", ", part] : [part]));
}

function moveRows(task) {
  const rows = [...task.section.querySelectorAll("tr[data-entry]")];
  for (const row of rows) {
    const entry = task.entries.get(row.dataset.entry), figures = entry.clocks[task.clock], at = task.at;
    const cells = { place: String(figures.place[at]), mean: nearest(figures.mean[at]), interval: within(figures.low[at], figures.high[at], figures.ideal),
      worst: nearest(figures.worst[at]), ideal: nearest(figures.ideal), p99: figures.p99, deadline: figures.deadline };
    for (const [name, shown] of Object.entries(cells)) {
      const cell = row.querySelector(`[data-cell="${name}"]`);
      if (cell) cell.textContent = shown;
    }
    const wide = Math.abs(figures.high[at] - figures.low[at]) > task.wide.share * Math.abs(figures.ideal - (task.scale?.late ?? 0));
    const found = entry.flags[figures.flags[at]];
    status(row.querySelector('[data-cell="flags"]'), wide ? [...found, [task.wide.anchor, task.wide.term]] : found, row.dataset.state);
    dots(row, figures, at, task.top);
    row.sortBy = figures.place[at] + figures.kept / 1000;
  }
  const sorted = [...rows].sort((one, other) => one.sortBy - other.sortBy);
  if (sorted.some((row, index) => row !== rows[index])) {
    const had = document.activeElement;
    rows[0].parentNode.append(...sorted);
    if (had && document.activeElement !== had) had.focus();
  }
}

const asCell = text => {
  // A spreadsheet would take other beginnings as a formula.
  const safe = /^[=@\t]|^[-+](?![\d.]+( |$))/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const asCsv = table => [...table.rows].map(row => [...row.cells].map(cell => asCell(cell.textContent.trim().replace(/\s+/g, " "))).join(",")).join("\r\n") + "\r\n";

async function copyTable(button) {
  const text = asCsv(button.closest(".table").querySelector("table"));
  try { await navigator.clipboard.writeText(text); }
  catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
  }
  button.dataset.copied = text;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy as CSV"; }, 1500);
}
