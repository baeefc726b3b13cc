// Drawing: what Plotly is given.
const HANDLE = 22;
const BARS = ["#5b8fc7", "#e0a03c", "#7fb07f"];

function decodeSeries(chart) {
  if (chart.decoded) return;
  for (const series of chart.series)
    for (const key of ["x", "y", "low", "high"]) if (series[key] !== undefined) {
      const value = decode(series[key]);
      series[key] = key === "x" && chart.x.date ? value.map(ms => new Date(ms).toISOString()) : value;
    }
  chart.decoded = true;
}

// What a reader sees at the pointer: the trial, the value with its unit, and the interval.
function hoverOf(chart, series, y) {
  const percentiles = chart.x.ticks.length > 0, measure = chart.picked.measure || chart.y.title;
  const x = percentiles ? "%{customdata}" : chart.x.date ? "%{x}" : "%{x:.4~g}";
  const interval = series.low ? " %{customdata}" : "";
  return {
    customdata: percentiles ? series.x.map(odds => Number((100 * (1 - 1 / odds)).toPrecision(6)))
      : series.low ? series.low.map((low, index) => within(low, series.high[index])) : undefined,
    hovertemplate: `${plain(chart.x.title)}: ${x}<br>${plain(measure)}: %{y:.4~g}${interval}<extra>%{fullData.name}</extra>`,
  };
}

function tracesOf(chart, task) {
  const traces = [];
  for (const series of visible(chart, task)) {
    const entry = task.entries.get(series.entry), picked = task.picked === series.entry, back = task.picked && entry && !picked;
    const line = { color: entry ? colour(entry) : variable("--quiet"), dash: entry ? dash(entry) : "dash", width: picked ? 3.5 : series.faint ? 1.2 : 2,
      shape: series.kind === "step" ? "hv" : "linear" };
    const base = { x: series.x, name: plain(series.label), meta: series.entry, showlegend: false, type: "scatter" };
    if (series.low && !back) {
      traces.push({ ...base, y: series.low, mode: "lines", line: { ...line, width: 0 }, hoverinfo: "skip" });
      traces.push({ ...base, y: series.high, mode: "lines", line: { ...line, width: 0 }, fill: "tonexty", fillcolor: line.color + "2e", hoverinfo: "skip" });
    }
    const y = values(series.y, task.at);
    if (series.kind === "bars") {
      traces.push({ ...base, type: "bar", orientation: "h", x: y, y: series.x, showlegend: true, marker: { color: BARS[traces.length % 3] },
        hovertemplate: `%{y}<br>${plain(chart.y.title)}: %{x:.4~g}<extra>%{fullData.name}</extra>` });
    } else if (series.kind === "points") {
      traces.push({ ...base, y, ...hoverOf(chart, series, y), mode: "markers", text: series.names.map(plain),
        marker: { color: line.color, symbol: SYMBOLS[entry.dash % SYMBOLS.length], size: picked ? 9 : 7, opacity: back ? .15 : .75 } });
    } else {
      // A line of one point shows nothing.
      traces.push({ ...base, y, ...hoverOf(chart, series, y), mode: series.x.length > 1 ? "lines" : "markers", marker: { color: line.color, size: 7 }, line,
        opacity: (back ? .25 : 1) * (series.faint ? .55 : 1) });
    }
  }
  return traces;
}

function legend(chart, task) {
  const keys = [...new Set(visible(chart, { ...task, shown: new Set(task.entries.keys()) }).map(series => series.entry).filter(Boolean))];
  if (task.entries.size < 2) return;
  const known = new Map([...chart.legend.children].map(button => [button.dataset.pick, button]));
  const buttons = keys.map(key => {
    const button = known.get(key) || legendButton(shortName(chart, task, key), key);
    button.setAttribute("aria-pressed", String(task.picked === key));
    button.classList.toggle("off", !task.shown.has(key));
    button.firstChild.replaceWith(swatch(task.entries.get(key)));
    return button;
  });
  // Buttons stay while a figure is drawn anew: a click that has begun, and the focus, would be lost with them.
  if (buttons.length !== known.size || buttons.some((button, place) => button !== chart.legend.children[place])) chart.legend.replaceChildren(...buttons);
}

function legendButton(name, key) {
  const button = document.createElement("button"), text = document.createElement("span");
  button.type = "button"; button.className = "name"; button.dataset.pick = key;
  text.textContent = name;
  button.append(document.createElement("span"), text);
  return button;
}

// What dashes stand for, under panels whose lines are named at their ends.
function dashKey(chart, task) {
  const panels = chart.div.closest(".panels");
  let key = panels.nextElementSibling;
  if (!key.classList.contains("dashes")) { key = made("p"); key.className = "note dashes"; panels.after(key); }
  const runtimes = new Map(task.runtimes);
  key.hidden = runtimes.size < 2 || together(chart).some(panel => panel.legend && !panel.legend.hidden);
  key.replaceChildren(...[...runtimes].flatMap(([dash, runtime]) => [swatch({ dash, colour: COLOURS.length - 1 }), runtime]));
}

function draw(chart) {
  const task = tasks[chart.task];
  decodeSeries(chart);
  legend(chart, task);
  const layout = layoutOf(chart, task);
  if (chart.stacked) {
    layout.height = Math.max(200, 100 + (isNarrow(chart) ? 44 : 24) * chart.series[0].x.length);
    chart.div.style.height = `${layout.height}px`;
  }
  Plotly.react(chart.div, tracesOf(chart, task), layout, { displayModeBar: false, responsive: !printing });
  if (!chart.drawn) listen(chart, task);
  chart.legend.hidden = Boolean(chart.labelled) && together(chart).length > 1;
  if (chart.name === "tail-quality") dashKey(chart, task);
  chart.stale = false;
  chart.drawn = true;
  chart.div.dataset.drawnAt = String(task.at);
  if (chart.threshold === "x") placeHandle(chart, task);
}

function refresh(chart) {
  chart.stale = true;
  if (chart.inView) draw(chart);
}

// A zoom is kept when the slider moves; a double click ends it. A click picks a trial.
function listen(chart, task) {
  chart.div.on("plotly_relayout", change => {
    if (change["xaxis.autorange"] || change["yaxis.autorange"]) chart.zoom = {};
    for (const along of ["xaxis", "yaxis"])
      if (change[`${along}.range[0]`] !== undefined) chart.zoom[along] = [change[`${along}.range[0]`], change[`${along}.range[1]`]];
    if (chart.threshold || chart.name === "tail-quality") refresh(chart);
  });
  chart.div.on("plotly_click", event => {
    const point = event.points[0];
    const key = point.data.meta || [...task.entries].find(([, entry]) => plain(entry.label) === point.y)?.[0];
    if (key) pick(task, key);
  });
  chart.div.on("plotly_clickannotation", event => { if (task.entries.has(event.annotation.name)) pick(task, event.annotation.name); });
}

// The deadline as a handle above the figure, where it covers no tick, with its time; a pointer drags it.
function placeHandle(chart, task) {
  const axis = chart.div._fullLayout.xaxis, area = chart.div._fullLayout.yaxis, ms = shownAt(task) / 1e6;
  if (!chart.handle) {
    chart.handle = document.createElement("div");
    chart.handle.className = "handle"; chart.handle.setAttribute("aria-hidden", "true");
    chart.handle.addEventListener("pointerdown", event => chart.handle.setPointerCapture(event.pointerId));
    chart.handle.addEventListener("pointermove", event => {
      if (!chart.handle.hasPointerCapture(event.pointerId)) return;
      const at = chart.div.getBoundingClientRect(), axis = chart.div._fullLayout.xaxis;
      const wanted = Math.log(axis.p2d(Math.min(axis._length, Math.max(0, event.clientX - at.left - axis._offset))) * 1e6);
      const ns = task.clocks[task.clock].ns;
      slideTo(task, ns.reduce((best, value, index) => Math.abs(Math.log(value) - wanted) < Math.abs(Math.log(ns[best]) - wanted) ? index : best, 0));
    });
    chart.handle.append(made("span"));
    chart.div.append(chart.handle);
  }
  const x = axis.d2p(ms), time = chart.handle.firstChild;
  time.textContent = milliseconds(shownAt(task));
  time.className = x > axis._length / 2 ? "before" : "";
  chart.handle.hidden = !(x >= -1 && x <= axis._length + 1);
  chart.handle.style.left = `${axis._offset + x}px`;
  chart.handle.style.top = `${area._offset - HANDLE}px`;
}
