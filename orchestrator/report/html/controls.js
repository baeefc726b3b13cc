// The slider, the clock, the pick, the address of a view and the colour of the ground.

function show(task) {
  const clock = task.clocks[task.clock], text = milliseconds(clock.ns[task.at]);
  const names = clock.labels[task.at].split(", ").sort((one, other) => other.startsWith("p") - one.startsWith("p"));
  // Absolute thresholds are called by their time, which stands there already.
  const label = names.filter(name => name.startsWith("p")).join(", ");
  for (const place of task.section.querySelectorAll("[data-threshold]")) place.textContent = text;
  for (const place of task.section.querySelectorAll("[data-threshold-label]")) place.textContent = label ? `(${label})` : "";
  for (const place of task.section.querySelectorAll("[data-clock-name]")) place.textContent = task.clock;
  const slider = task.section.querySelector("[data-slider]");
  slider.max = String(clock.ns.length - 1);
  slider.value = String(task.at);
  slider.setAttribute("aria-valuetext", label ? `${text}, ${label}` : text);
  showTyped(task);
  task.section.querySelector("[data-marks]").value = names[0] ? String(task.at) : "";
  task.section.querySelector("[data-clock]").value = task.clock;
  moveAnswer(task);
  moveRows(task);
  drawStrips(task);
  // Tables of one common threshold of the first clock each: that of the nearest is shown, by its name where another clock is chosen.
  const common = commonNear(task, clock);
  for (const table of task.section.querySelectorAll("[data-within]")) table.hidden = Number(table.dataset.within) !== common;
  for (const table of task.section.querySelectorAll("[data-of-clock]")) table.hidden = table.dataset.ofClock !== task.clock;
  for (const chart of chartsOf(task)) refresh(chart);
  keepAddress();
}

function marks(task) {
  const box = task.section.querySelector("[data-marks]"), clock = task.clocks[task.clock];
  const other = new Option("between", "");
  other.disabled = true;
  box.replaceChildren(other, ...clock.labels.map((label, index) => label ? new Option(label, String(index)) : null).filter(Boolean));
}

function slideTo(task, at) {
  task.at = at; task.asked = null;
  show(task);
}

// A deadline that is asked for exactly: all that is shown is of the nearest one that was computed, and says so.
function ask(task, ns) {
  const clock = task.clocks[task.clock];
  task.at = placeOf(clock, ns);
  task.asked = clock.ns[task.at] === ns ? null : ns;
}

// The field shows the deadline to the nanosecond. What is typed there and is none is told, and nothing else changes.
function showTyped(task, complaint = "") {
  const field = task.section.querySelector("[data-typed]"), wrong = task.section.querySelector("[data-wrong]");
  if (!complaint) field.value = `${deadline(task) / 1e6} ms`;
  field.setAttribute("aria-invalid", String(complaint !== ""));
  wrong.textContent = complaint;
  wrong.hidden = !complaint;
}

const notATime = text => `“${text.trim()}” is no time above 0: write one such as 50 ms, 0.05 s or 50000 us.`;

function takeTyped(task, text) {
  const ns = nanoseconds(text);
  if (Number.isNaN(ns)) { showTyped(task, notATime(text)); return; }
  ask(task, ns);
  show(task);
}

function setClock(task, name) {
  const ns = deadline(task), label = task.asked === null ? task.clocks[task.clock].labels[task.at] : "";
  task.clock = name;
  const clock = task.clocks[name], same = label ? clock.labels.indexOf(label) : -1;
  if (task.asked !== null) ask(task, ns);
  else task.at = same >= 0 ? same : placeOf(clock, ns);
  for (const chart of chartsOf(task)) chart.zoom = {};
  marks(task);
}

const placeOf = (clock, ns) => clock.ns.reduce((best, value, index) => Math.abs(value - ns) < Math.abs(clock.ns[best] - ns) ? index : best, 0);

function pick(task, key) {
  task.picked = task.picked === key ? null : key;
  reflect(task);
}

// Shows in every list and figure which trials are drawn and which one is picked.
function reflect(task) {
  for (const button of task.section.querySelectorAll("[data-pick]")) {
    button.setAttribute("aria-pressed", String(button.dataset.pick === task.picked));
    button.classList.toggle("off", !task.shown.has(button.dataset.pick));
  }
  for (const row of task.section.querySelectorAll("tr[data-entry], [data-of]")) {
    const key = row.dataset.entry || row.dataset.of, box = row.querySelector("[data-shown]");
    row.classList.toggle("is-picked", key === task.picked);
    if (box) box.checked = task.shown.has(key);
  }
  const name = task.section.querySelector("[data-picked-name]");
  if (name) {
    name.textContent = task.picked ? task.entries.get(task.picked).label : "Pick a trial anywhere";
    const hide = task.section.querySelector("[data-hide]");
    hide.disabled = task.section.querySelector("[data-only]").disabled = !task.picked;
    hide.textContent = task.picked && !task.shown.has(task.picked) ? "Draw" : "Hide";
  }
  for (const chart of chartsOf(task)) refresh(chart);
  keepAddress();
}

function listenToControls(task) {
  const section = task.section, find = name => section.querySelector(`[data-${name}]`);
  find("slider").addEventListener("input", event => slideTo(task, Number(event.target.value)));
  find("marks").addEventListener("change", event => slideTo(task, Number(event.target.value)));
  find("typed").addEventListener("change", event => takeTyped(task, event.target.value));
  find("typed").addEventListener("keydown", event => { if (event.key === "Escape") showTyped(task); });
  find("clock").addEventListener("change", event => { setClock(task, event.target.value); show(task); });
  section.addEventListener("click", event => {
    const button = event.target.closest("[data-pick]");
    if (button) pick(task, button.dataset.pick);
  });
  section.addEventListener("change", event => {
    if (!event.target.matches("[data-shown]")) return;
    const key = event.target.closest("tr").dataset.entry;
    if (event.target.checked) task.shown.add(key); else task.shown.delete(key);
    reflect(task);
  });
  find("hide")?.addEventListener("click", () => { if (!task.shown.delete(task.picked)) task.shown.add(task.picked); reflect(task); });
  find("only")?.addEventListener("click", () => { task.shown = new Set([task.picked]); reflect(task); });
  find("all")?.addEventListener("click", () => { task.shown = new Set(task.entries.keys()); task.picked = null; reflect(task); });
  find("controls").hidden = false;
}

// A time in ns as one writes it, in ms where no unit is given; NaN for what is none.
function nanoseconds(text) {
  const found = /^\s*(\d*\.?\d+(?:e[-+]?\d+)?|\d+\.)\s*(ns|us|µs|μs|ms|s|)\s*$/i.exec(text);
  const ns = found ? Math.round(Number(found[1]) * { ns: 1, us: 1e3, "µs": 1e3, "μs": 1e3, ms: 1e6, s: 1e9, "": 1e6 }[found[2].toLowerCase()]) : NaN;
  return ns > 0 && ns < Infinity ? ns : NaN;
}

// #t=50ms&clock=total restores a view; tasks after the first have their number behind each name, and without one of their own the first one's.
let restoring = true;

function keepAddress() {
  if (restoring) return;
  const parts = [];
  for (const task of tasks) {
    const end = task.number || "", keys = [...task.entries.keys()], off = keys.flatMap((key, index) => task.shown.has(key) ? [] : [index + 1]);
    parts.push(`t${end}=${deadline(task) / 1e6}ms`, `clock${end}=${task.clock}`);
    if (task.picked) parts.push(`pick${end}=${keys.indexOf(task.picked) + 1}`);
    if (off.length) parts.push(`off${end}=${off.join(".")}`);
  }
  try { history.replaceState(null, "", `#${parts.join("&")}`); } catch { /* a page within another has no address of its own */ }
}

function restore() {
  if (!/[#&]t\d*=/.test(location.hash)) return;
  const asked = new URLSearchParams(location.hash.slice(1));
  restoring = true;
  for (const task of tasks) {
    const end = task.number || "", keys = [...task.entries.keys()], clock = asked.get(`clock${end}`) ?? asked.get("clock");
    const wanted = asked.get(`t${end}`) ?? asked.get("t") ?? "", ns = nanoseconds(wanted);
    if (Object.hasOwn(task.clocks, clock) && clock !== task.clock) setClock(task, clock);
    if (ns > 0) ask(task, ns);
    task.picked = keys[Number(asked.get(`pick${end}`)) - 1] ?? null;
    const off = (asked.get(`off${end}`) || "").split(".").map(Number);
    task.shown = new Set(keys.filter((key, index) => !off.includes(index + 1)));
    show(task);
    reflect(task);
    if (wanted && Number.isNaN(ns)) showTyped(task, notATime(wanted));
  }
  restoring = false;
}
