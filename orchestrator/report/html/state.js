// What is chosen: per task the clock, the place of the slider, the trials that are drawn, and the one that is picked.
const root = document.documentElement;
// The first two after Bang Wong, the others as far from them as colour-blind readers need and as dark as text must be; the second of each
// is for dark ground.
const COLOURS = [
  ["#0072b2", "#56a9e8"], ["#c24e00", "#f28c4b"], ["#405c31", "#4ce08f"], ["#b5457f", "#ff5fa8"],
  ["#4b0092", "#a877ff"], ["#aa00ff", "#fcc91c"], ["#7a0800", "#f22963"], ["#1b1f24", "#f2f4f7"],
];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const STROKES = { solid: "", dash: "7 4", dot: "2 3", dashdot: "7 3 2 3", longdash: "12 4" };
const SYMBOLS = ["circle", "circle-open", "diamond", "diamond-open", "cross"];
let tasks = [], charts = new Map(), printing = false;

const dark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
const colour = entry => COLOURS[entry.colour % COLOURS.length][dark() ? 1 : 0];
const dash = entry => DASHES[entry.dash % DASHES.length];
const variable = name => getComputedStyle(root).getPropertyValue(name).trim();
// The deadline in ns whose figures are shown, that of the slider's place; and the one that was asked for exactly, if one was.
const shownAt = task => task.clocks[task.clock].ns[task.at];
const deadline = task => task.asked ?? shownAt(task);
const chartsOf = task => [...charts.values()].filter(chart => tasks[chart.task] === task);

function swatch(entry) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("width", "24"); made.setAttribute("height", "10"); made.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [key, value] of Object.entries({ x1: 0, x2: 24, y1: 5, y2: 5, stroke: colour(entry), "stroke-width": 3 })) line.setAttribute(key, value);
  line.setAttribute("stroke-dasharray", STROKES[dash(entry)]);
  made.append(line);
  return made;
}

function taskOf(task, number) {
  const entries = new Map(Object.entries(task.entries));
  for (const entry of entries.values())
    for (const clock of Object.values(entry.clocks))
      for (const name of ["mean", "worst", "low", "high", "rounds", "centres"]) clock[name] = decode(clock[name]);
  for (const clock of Object.values(task.clocks)) clock.ns = decode(clock.ns);
  const first = Object.keys(task.clocks)[0];
  return { ...task, number, section: document.querySelector(`[data-task="${number}"]`), entries, clock: first, at: task.clocks[first].start, asked: null,
    shown: new Set(entries.keys()), picked: null };
}

function chartOf(name, chart) {
  const picked = Object.fromEntries(Object.entries(chart.choices).map(([tag, options]) => [tag, options[0]]));
  const div = document.querySelector(`[data-chart="${CSS.escape(name)}"]`);
  const made = { ...chart, key: name, div, picked, decoded: false, stale: true, inView: false, drawn: false, zoom: {} };
  made.legend = document.createElement("div");
  made.legend.className = "legend"; made.legend.setAttribute("role", "group"); made.legend.setAttribute("aria-label", `Trials of ${chart.title}`);
  div.after(made.legend);
  for (const select of document.querySelectorAll(`[data-choices="${CSS.escape(chart.figure)}"] select`))
    select.addEventListener("change", () => { picked[select.dataset.tag] = select.value; made.zoom = {}; refresh(made); });
  return made;
}

// All panels of one figure, which share their axes.
const together = chart => [...charts.values()].filter(other => other.figure === chart.figure);

function visible(chart, task) {
  return chart.series.filter(series => (!series.entry || task.shown.has(series.entry)) &&
    Object.entries(series.tags).every(([tag, value]) => (tag === "clock" ? task.clock : chart.picked[tag]) === value));
}

// In a panel of one model its name stands above it.
function shortName(chart, task, key) {
  const entry = task.entries.get(key), start = `${entry.model} · `;
  return together(chart).length > 1 && entry.label.startsWith(start) ? entry.label.slice(start.length) : entry.label;
}
