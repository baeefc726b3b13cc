"use strict";
const { charts, tasks } = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement, prefers = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ?? (prefers.matches ? "dark" : "light")) === "dark";
const plots = [...document.querySelectorAll("[data-chart]")];
const drawn = new Map(); // element of a chart -> its view, null while it is made
let paper = false;

// As wide as its place; panels of models stand side by side where there is room.
function sized(spec, wide) {
  const made = structuredClone(spec);
  made.params.find((one) => one.name === "wide").value = wide;
  if (made.height?.step) return Object.assign(made, { width: wide - 40 });
  if (!made.facet) return Object.assign(made, { width: wide, autosize: { type: "fit-x", contains: "padding" } });
  made.columns = Math.max(1, Math.min(3, Math.floor(wide / 300)));
  made.spec.width = Math.floor((wide - 50) / made.columns - 20);
  return made;
}

async function draw(element) {
  drawn.set(element, null);
  const spec = sized(charts[element.dataset.chart], element.clientWidth);
  const { view } = await vegaEmbed(element, spec, { actions: false, ast: true, renderer: "svg" });
  drawn.set(element, view);
  update(element);
}

// What a reader chose for the whole task: its deadline, clock, and the page's colours.
function update(element) {
  const view = drawn.get(element), task = tasks[element.closest("[data-task]").dataset.task];
  if (!view) return;
  const grid = task.grids[task.clock];
  const chosen = { dark: isDark() && !paper, clock: task.clock, deadline: grid.ms[task.place] };
  for (const [name, value] of Object.entries(chosen)) try { view.signal(name, value); } catch { /* a chart may lack it */ }
  view.runAsync();
}

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting && !drawn.has(target)) draw(target);
}, { rootMargin: "500px" });
for (const element of plots) near.observe(element);

let narrowed;
addEventListener("resize", () => {
  clearTimeout(narrowed);
  narrowed = setTimeout(() => { for (const [element, view] of drawn) if (view) { view.finalize(); draw(element); } }, 200);
});

function show(section, task) {
  const grid = task.grids[task.clock], place = task.place;
  for (const output of section.querySelectorAll("[data-deadline]")) output.textContent = grid.names[place];
  const slider = section.querySelector("[data-slider]");
  slider.max = grid.ms.length - 1;
  slider.value = place;
  slider.setAttribute("aria-valuetext", grid.names[place]);
  const body = section.querySelector(".ranking tbody");
  const of = (row) => grid.systems[row.dataset.system];
  for (const row of body.rows) {
    for (const name of ["place", "mean", "interval", "worst"]) row.querySelector(`[data-cell=${name}]`).textContent = of(row)[name][place];
    const [low, high] = of(row).interval[place].slice(1, -1).split(", ").map((one) => 100 * one / task.top);
    const [interval, mean] = row.querySelectorAll("[data-bar]");
    interval.setAttribute("x", low);
    interval.setAttribute("width", Math.max(high - low, 0));
    mean.setAttribute("x", Math.min(99, 100 * of(row).mean[place] / task.top));
  }
  body.append(...[...body.rows].sort((one, other) => of(one).order[place] - of(other).order[place]));
  for (const element of section.querySelectorAll("[data-chart]")) update(element);
}

for (const section of document.querySelectorAll("[data-task]")) {
  const number = section.dataset.task, task = tasks[number], first = task.grids[task.clock].ms;
  const slider = section.querySelector("[data-slider]"), clock = section.querySelector("[data-clock]");
  const asked = RegExp(`^#t${number}=([\\d.]+)ms$`).exec(location.hash);
  const far = (ms) => Math.abs(Math.log(ms / asked[1]));
  task.place = asked ? first.reduce((best, ms, at) => (far(ms) < far(first[best]) ? at : best), 0) : task.grids[task.clock].start;
  slider.addEventListener("input", () => { task.place = Number(slider.value); show(section, task); });
  slider.addEventListener("change", () => location.protocol === "about:" || history.replaceState(null, "", `#t${number}=${task.grids[task.clock].ms[task.place]}ms`)); // the frame of a notebook has no address
  clock?.addEventListener("change", () => { task.clock = clock.value; task.place = task.grids[task.clock].start; show(section, task); });
  section.querySelector("[data-controls]").hidden = false;
  show(section, task);
}

for (const table of navigator.clipboard ? document.querySelectorAll(".table") : []) {
  const button = Object.assign(document.createElement("button"), { textContent: "Copy as CSV" });
  const cell = (each) => `"${each.textContent.trim().replaceAll('"', '""')}"`;
  const lines = () => [...table.querySelectorAll("tr")].map((row) => [...row.cells].map(cell).join(",")).join("\n");
  button.addEventListener("click", () => navigator.clipboard.writeText(lines()));
  if (table.querySelector("table")) table.querySelector("h3").append(" ", button);
}

const theme = document.getElementById("theme");
function recolour() {
  theme.textContent = isDark() ? "Light" : "Dark";
  plots.forEach(update);
}
theme.hidden = false;
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try { localStorage.setItem("tail-quality-theme", root.dataset.theme); } catch { /* no storage for this file */ }
  recolour();
});
prefers.addEventListener("change", recolour);
for (const [event, on] of [["beforeprint", true], ["afterprint", false]]) addEventListener(event, () => { paper = on; recolour(); });
recolour();
root.dataset.ready = "";
