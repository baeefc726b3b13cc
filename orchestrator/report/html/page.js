"use strict";
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  // Bang Wong's colours for the colour-blind, and others that keep their distance; the second of each is for dark ground.
  const COLOURS = [
    ["#0072b2", "#56a9e8"], ["#c24e00", "#f28c4b"], ["#00795a", "#3fc79b"], ["#a6458a", "#e08cc6"], ["#7a5c00", "#e0bd3a"],
    ["#2f6f9f", "#8fc7ef"], ["#6b4fb3", "#b09cf0"], ["#b0304a", "#f07d93"], ["#4d6b1f", "#a5c96b"], ["#5a5a5a", "#b8b8b8"],
  ];
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
  const STROKES = { solid: "", dash: "7 4", dot: "2 3", dashdot: "7 3 2 3", longdash: "12 4" };
  const SYMBOLS = ["circle", "circle-open", "diamond", "diamond-open", "cross"];
  const MOST_IN_LEGEND = 12;
  let printing = false;

  // Numbers as text: the same rules as the tables of the report.
  // As quality() of report/text.py: the nearest, of two equally near the even one (sixteenths alone lie halfway), and 1.000 for 1 alone.
  const nearest = value => {
    const down = Math.floor(value * 1000), halfway = Number.isInteger(value * 16) && value * 16 % 2 !== 0;
    let decimals = 3, text = halfway ? ((down + down % 2) / 1000).toFixed(3) : value.toFixed(3);
    while (value < 1 - 1e-12 && Number(text) >= 1) text = value.toFixed(++decimals);
    return text;
  };
  const cut = value => (Math.trunc(value * 1000 + 1e-9) / 1000).toFixed(3);
  const within = (low, high) => `[${cut(low)}, ${(Math.ceil(high * 1000 - 1e-9) / 1000).toFixed(3)}]`;
  const milliseconds = ns => {
    const ms = ns / 1e6;
    if (ms >= 100) return `${ms.toFixed(0)} ms`;
    if (ms >= 10) return `${ms.toFixed(1)} ms`;
    return ms >= 1 ? `${ms.toFixed(2)} ms` : `${Number(ms.toPrecision(3))} ms`;
  };
  // Plotly reads its labels as a kind of HTML.
  const plain = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const buffer = number => Uint8Array.from(atob(page.arrays[number]), letter => letter.charCodeAt(0)).buffer;
  const known = new Map();
  function decode(value) {
    if (Array.isArray(value)) return value.map(plain);
    if (value.u2 !== undefined) return { steps: new Uint16Array(buffer(value.u2)), top: value.top, width: value.width };
    const kind = value.f8 !== undefined ? "f8" : "f4", name = kind + value[kind];
    if (!known.has(name)) known.set(name, kind === "f8" ? new Float64Array(buffer(value.f8))
      : Array.from(new Float32Array(buffer(value.f4)), number => Number.isFinite(number) ? number : null));
    return known.get(name);
  }
  function values(value, row) {
    if (!value.steps) return value;
    const from = value.steps.subarray(row * value.width, (row + 1) * value.width);
    return Array.from(from, step => step === 65535 ? null : step / 65534 * value.top);
  }

  const dark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const colour = entry => COLOURS[entry.colour % COLOURS.length][dark() ? 1 : 0];
  const dash = entry => DASHES[entry.dash % DASHES.length];
  const variable = name => getComputedStyle(root).getPropertyValue(name).trim();

  function swatch(entry) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    made.setAttribute("width", "30"); made.setAttribute("height", "10"); made.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({ x1: 0, x2: 30, y1: 5, y2: 5, stroke: colour(entry), "stroke-width": 3 })) line.setAttribute(key, value);
    line.setAttribute("stroke-dasharray", STROKES[dash(entry)]);
    made.append(line);
    return made;
  }

  const tasks = page.tasks.map((task, number) => {
    const section = document.querySelector(`[data-task="${number}"]`);
    const entries = new Map(Object.entries(task.entries));
    for (const entry of entries.values())
      for (const clock of Object.values(entry.clocks))
        for (const name of ["mean", "worst", "low", "high"]) clock[name] = decode(clock[name]);
    for (const clock of Object.values(task.clocks)) clock.ns = decode(clock.ns);
    return { section, entries, clocks: task.clocks, clock: "total", at: task.clocks.total.start, shown: new Set() };
  });

  const charts = new Map(Object.entries(page.charts).map(([name, chart]) => {
    const picked = Object.fromEntries(Object.entries(chart.choices).map(([tag, options]) => [tag, options[0]]));
    const div = document.querySelector(`[data-chart="${CSS.escape(name)}"]`);
    const state = { ...chart, div, picked, decoded: false, stale: true, inView: false, drawn: false };
    for (const select of document.querySelectorAll(`[data-choices="${CSS.escape(name)}"] select`))
      select.addEventListener("change", () => { picked[select.dataset.tag] = select.value; refresh(state); });
    return [name, state];
  }));

  function decodeSeries(chart) {
    if (chart.decoded) return;
    for (const series of chart.series)
      for (const key of ["x", "y", "low", "high"]) if (series[key] !== undefined) {
        const value = decode(series[key]);
        series[key] = value instanceof Float64Array ? Array.from(value, ms => new Date(ms).toISOString()) : value;
      }
    chart.decoded = true;
  }

  function visible(chart, task) {
    return chart.series.filter(series => (!series.entry || task.shown.has(series.entry)) &&
      Object.entries(series.tags).every(([tag, value]) => (tag === "clock" ? task.clock : chart.picked[tag]) === value));
  }

  function tracesOf(chart, task) {
    const traces = [];
    const bars = ["#5b8fc7", "#e0a03c", "#7fb07f"];
    for (const series of visible(chart, task)) {
      const entry = task.entries.get(series.entry);
      const line = { color: entry ? colour(entry) : variable("--quiet"), dash: entry ? dash(entry) : "dash", width: series.faint ? 1.2 : 2,
        shape: series.kind === "step" ? "hv" : "linear" };
      const base = { x: series.x, name: plain(series.label), showlegend: false, type: "scatter" };
      if (series.low) {
        traces.push({ ...base, y: series.low, mode: "lines", line: { ...line, width: 0 }, hoverinfo: "skip" });
        traces.push({ ...base, y: series.high, mode: "lines", line: { ...line, width: 0 }, fill: "tonexty", fillcolor: line.color + "2e", hoverinfo: "skip" });
      }
      const y = values(series.y, task.at);
      if (series.kind === "bars") {
        traces.push({ ...base, type: "bar", orientation: "h", x: y, y: series.x, showlegend: true, marker: { color: bars[traces.length % 3] } });
      } else if (series.kind === "points") {
        traces.push({ ...base, y, mode: "markers", text: series.names.map(plain), marker: { color: line.color, symbol: SYMBOLS[entry.dash % SYMBOLS.length], size: 7, opacity: .75 },
          hovertemplate: "%{text} (%{x:.4~g}, %{y:.4~g})<extra>%{fullData.name}</extra>" });
      } else {
        const shown = chart.x.date ? "%{x}" : "%{x:.4~g}";
        // A line of one point shows nothing.
        traces.push({ ...base, y, mode: series.x.length > 1 ? "lines" : "markers", marker: { color: line.color, size: 7 }, line, opacity: series.faint ? .55 : 1,
          hovertemplate: `${shown}: %{y:.4~g}<extra>%{fullData.name}</extra>` });
      }
    }
    return traces;
  }

  // From the smallest to the largest value that is drawn.
  function reach(chart, task, along) {
    let low = Infinity, high = 0;
    for (const series of visible(chart, task))
      for (const value of values(series[along], task.at)) if (value > 0) { low = Math.min(low, value); high = Math.max(high, value); }
    return low <= high ? [low, high] : [1, 10];
  }

  function logTicks([low, high]) {
    const decades = Math.log10(high / low);
    const steps = decades > 3.5 ? [1] : decades > 1.2 ? [1, 2, 5] : decades > .5 ? [1, 1.5, 2, 3, 4, 5, 7] : [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9];
    const ticks = [], apart = 10 ** (decades / 14);
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); power++)
      for (const step of steps) {
        const tick = Number((step * 10 ** power).toPrecision(3));
        if (!ticks.length || tick >= ticks.at(-1) * apart) ticks.push(tick);
      }
    return { tickmode: "array", tickvals: ticks, ticktext: ticks.map(String) };
  }

  // Where there is little room, each part of a trial's name has a line of its own.
  const isNarrow = chart => chart.div.clientWidth <= 520 && !printing;
  const linesOf = names => ({ tickmode: "array", tickvals: names, ticktext: names.map(name => name.replaceAll(" · ", "<br>")), tickfont: { size: 10 } });

  function layoutOf(chart, task) {
    const ink = printing ? "#1b1f24" : variable("--ink"), line = printing ? "#d5dae0" : variable("--line");
    const axis = (described, along) => {
      const made = { title: { text: plain(described.title), standoff: 8 }, type: described.date ? "date" : described.log ? "log" : "-",
        gridcolor: line, linecolor: line, zeroline: false, automargin: true, tickcolor: line };
      if (described.falling) { made.autorange = "reversed"; made.dtick = task.entries.size < 12 ? 1 : undefined; }
      if (described.ticks.length) { made.tickmode = "array"; made.tickvals = described.ticks.map(tick => tick[0]); made.ticktext = described.ticks.map(tick => tick[1]); }
      else if (described.log) Object.assign(made, logTicks(reach(chart, task, along)));
      return made;
    };
    const made = { margin: { l: 54, r: 12, t: 12, b: 46 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
      font: { color: ink, size: 12, family: 'system-ui, "DejaVu Sans", sans-serif' }, xaxis: axis(chart.x, "x"), yaxis: axis(chart.y, "y"), shapes: [],
      hoverlabel: { font: { size: 12 } }, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom" };
    if (printing) Object.assign(made, { width: 660, height: chart.stacked ? undefined : 300, autosize: false });
    if (chart.stacked) {
      Object.assign(made, { barmode: "stack", xaxis: { ...axis(chart.y, "x"), title: { text: plain(chart.y.title) } },
        yaxis: { ...axis(chart.x, "y"), type: "category", autorange: "reversed", dtick: 1, ...(isNarrow(chart) ? linesOf(chart.series[0].x) : {}) }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "normal" } });
      made.margin.t = 30;
    }
    if (chart.moves) { if (chart.name === "rounds") made.yaxis.rangemode = "tozero"; else made.yaxis.range = [0, 102]; }
    if (chart.picked.measure) made.yaxis.title.text = plain(chart.picked.measure);
    if (chart.threshold) {
      const ms = task.clocks[task.clock].ns[task.at] / 1e6, along = chart.threshold;
      const across = along === "x" ? "y" : "x";
      made.shapes.push({ type: "line", [`${along}0`]: ms, [`${along}1`]: ms, [`${across}0`]: 0, [`${across}1`]: 1, [`${across}ref`]: "paper",
        line: { color: ink, width: 1.4, dash: "dot" } });
    }
    return made;
  }

  function legend(chart, task) {
    const box = document.querySelector(`[data-legend="${CSS.escape(chart.key)}"]`);
    const keys = [...new Set(visible(chart, task).map(series => series.entry).filter(Boolean))];
    box.replaceChildren();
    if (keys.length > MOST_IN_LEGEND) { box.textContent = `${keys.length} trials, in the colours of the table above.`; return; }
    for (const key of keys) {
      const item = document.createElement("span"), text = document.createElement("span");
      text.textContent = task.entries.get(key).label;
      item.append(swatch(task.entries.get(key)), text);
      box.append(item);
    }
  }

  function draw(chart) {
    const task = tasks[chart.task];
    decodeSeries(chart);
    legend(chart, task);
    const layout = layoutOf(chart, task);
    if (chart.stacked) {
      layout.height = Math.min(1600, Math.max(220, 110 + (isNarrow(chart) ? 44 : 26) * chart.series[0].x.length));
      chart.div.style.height = `${layout.height}px`;
    }
    Plotly.react(chart.div, tracesOf(chart, task), layout, { displayModeBar: false, responsive: !printing });
    chart.stale = false;
    chart.drawn = true;
    chart.div.dataset.drawnAt = String(task.at);
  }
  function refresh(chart) {
    chart.stale = true;
    if (chart.inView) draw(chart);
  }
  for (const [name, chart] of charts) chart.key = name;

  function commonNear(task, clock) {
    const far = index => Math.abs(Math.log(clock.ns[index] / clock.ns[task.at]));
    const named = clock.labels.map((label, index) => index).filter(index => clock.labels[index]);
    if (!named.length) return NaN;
    const names = clock.labels[named.reduce((best, index) => far(index) < far(best) ? index : best)].split(", ");
    const total = task.clocks.total, same = total.labels.findIndex(label => label.split(", ").some(name => name && names.includes(name)));
    return total.ns[same];
  }

  function show(task) {
    const clock = task.clocks[task.clock], text = milliseconds(clock.ns[task.at]);
    // Absolute thresholds are called by their time, which stands there already.
    const label = clock.labels[task.at].split(", ").filter(name => name.startsWith("p")).join(", ");
    for (const place of task.section.querySelectorAll("[data-threshold]")) place.textContent = text;
    for (const place of task.section.querySelectorAll("[data-threshold-label]")) place.textContent = label ? `(${label})` : "";
    for (const place of task.section.querySelectorAll("[data-clock-name]")) place.textContent = task.clock;
    const slider = task.section.querySelector("[data-slider]");
    slider.max = String(clock.ns.length - 1);
    slider.value = String(task.at);
    slider.setAttribute("aria-valuetext", label ? `${text}, ${label}` : text);
    for (const button of task.section.querySelectorAll("[data-marks] button")) button.setAttribute("aria-pressed", String(Number(button.dataset.at) === task.at));
    for (const row of task.section.querySelectorAll("tr[data-entry]")) {
      const entry = task.entries.get(row.dataset.entry), figures = entry.clocks[task.clock];
      const cells = { place: String(figures.place[task.at]), mean: nearest(figures.mean[task.at]), interval: within(figures.low[task.at], figures.high[task.at]),
        worst: nearest(figures.worst[task.at]), p99: figures.p99, deadline: figures.deadline,
        flags: entry.flags[figures.flags[task.at]] };
      for (const [name, shown] of Object.entries(cells)) row.querySelector(`[data-cell="${name}"]`).textContent = shown;
      row.querySelector('[data-cell="mean"]').style.setProperty("--share", `${Math.min(100, 100 * figures.mean[task.at])}%`);
    }
    // Tables of one common threshold of total time each: that of the nearest is shown, by its name where another clock is chosen.
    const common = commonNear(task, clock);
    for (const table of task.section.querySelectorAll("[data-within]")) table.hidden = Number(table.dataset.within) !== common;
    for (const chart of charts.values()) if (tasks[chart.task] === task) refresh(chart);
  }

  function marks(task) {
    const box = task.section.querySelector("[data-marks]"), clock = task.clocks[task.clock];
    box.replaceChildren();
    clock.labels.forEach((label, index) => {
      if (!label) return;
      const button = document.createElement("button");
      button.type = "button"; button.textContent = label; button.dataset.at = String(index);
      button.addEventListener("click", () => { task.at = index; show(task); });
      box.append(button);
    });
  }

  function swatches() {
    for (const task of tasks)
      for (const row of task.section.querySelectorAll("tr[data-entry]")) row.querySelector("[data-swatch]").replaceChildren(swatch(task.entries.get(row.dataset.entry)));
  }

  for (const task of tasks) {
    const boxes = [...task.section.querySelectorAll("[data-shown]")];
    const collect = () => {
      task.shown = new Set(boxes.filter(box => box.checked).map(box => box.closest("tr").dataset.entry));
      for (const chart of charts.values()) if (tasks[chart.task] === task) refresh(chart);
    };
    for (const box of boxes) box.addEventListener("change", collect);
    for (const [name, value] of [["all", true], ["none", false]])
      task.section.querySelector(`[data-${name}]`).addEventListener("click", () => { for (const box of boxes) box.checked = value; collect(); });
    task.section.querySelector("[data-slider]").addEventListener("input", event => { task.at = Number(event.target.value); show(task); });
    task.section.querySelector("[data-clock]").addEventListener("change", event => {
      const ns = task.clocks[task.clock].ns[task.at], label = task.clocks[task.clock].labels[task.at];
      task.clock = event.target.value;
      const clock = task.clocks[task.clock], same = label ? clock.labels.indexOf(label) : -1;
      const nearest = clock.ns.reduce((best, value, index) => Math.abs(value - ns) < Math.abs(clock.ns[best] - ns) ? index : best, 0);
      task.at = same >= 0 ? same : nearest;
      marks(task); show(task);
    });
    task.section.querySelector("[data-controls]").hidden = false;
    task.section.querySelector("[data-pick]").hidden = boxes.length < 3;
    collect(); marks(task); show(task);
  }
  swatches();

  const watcher = new IntersectionObserver(seen => {
    for (const one of seen) {
      const chart = charts.get(one.target.dataset.chart);
      chart.inView = one.isIntersecting;
      if (chart.inView && chart.stale) draw(chart);
    }
  }, { rootMargin: "400px" });
  for (const chart of charts.values()) watcher.observe(chart.div);

  const redraw = all => {
    swatches();
    for (const chart of charts.values()) { chart.stale = true; if (all || chart.inView) draw(chart); }
  };
  const button = document.getElementById("theme");
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", dark() ? "Change to light" : "Change to dark"); };
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("tail-quality-theme", root.dataset.theme); } catch { /* not kept, but shown */ }
    name(); redraw(false);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { name(); redraw(false); });

  let before;
  addEventListener("beforeprint", () => {
    printing = true;
    before = root.dataset.theme;
    root.dataset.theme = "light";
    redraw(true);
  });
  addEventListener("afterprint", () => {
    printing = false;
    if (before === undefined) delete root.dataset.theme; else root.dataset.theme = before;
    redraw(false);
  });
})();
