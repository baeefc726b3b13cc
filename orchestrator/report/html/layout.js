// Axes, marks and labels of a figure.

// From the smallest to the largest value that is drawn in any panel of the figure.
function reach(chart, task, along) {
  let low = Infinity, high = 0;
  for (const panel of together(chart)) {
    decodeSeries(panel);
    for (const series of visible(panel, task))
      for (const value of values(series[along], task.at)) if (value > 0) { low = Math.min(low, value); high = Math.max(high, value); }
  }
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

function axisOf(chart, task, along, colours) {
  const described = chart[along];
  const made = { title: { text: plain(described.title), standoff: 8 }, type: described.date ? "date" : described.log ? "log" : "-",
    gridcolor: colours.line, linecolor: colours.line, zeroline: false, automargin: true, tickcolor: colours.line };
  if (described.falling) { made.autorange = "reversed"; made.dtick = task.entries.size < 12 ? 1 : undefined; }
  if (described.ticks.length) { made.tickmode = "array"; made.tickvals = described.ticks.map(tick => tick[0]); made.ticktext = described.ticks.map(tick => tick[1]); }
  else if (described.log) Object.assign(made, logTicks(reach(chart, task, along)));
  if (described.log && together(chart).length > 1) made.range = reach(chart, task, along).map(Math.log10);
  return made;
}

function layoutOf(chart, task) {
  const colours = { ink: printing ? "#1b1f24" : variable("--ink"), line: printing ? "#d5dae0" : variable("--line") };
  const made = { margin: { l: 54, r: 12, t: 12, b: 46 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", hoverdistance: -1,
    font: { color: colours.ink, size: 12, family: 'system-ui, "DejaVu Sans", sans-serif' }, xaxis: axisOf(chart, task, "x", colours), yaxis: axisOf(chart, task, "y", colours),
    shapes: [], annotations: [], hoverlabel: { font: { size: 12 }, namelength: -1 }, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom" };
  if (printing) Object.assign(made, { width: 660, height: chart.stacked ? undefined : 300, autosize: false });
  if (chart.stacked) {
    Object.assign(made, { barmode: "stack", hovermode: "y", xaxis: { ...axisOf(chart, task, "y", colours), title: { text: plain(chart.y.title) } },
      yaxis: { ...axisOf(chart, task, "x", colours), type: "category", autorange: "reversed", dtick: 1, ...(isNarrow(chart) ? linesOf(chart.series[0].x) : {}) }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "normal" } });
    made.margin.t = 30;
  }
  if (chart.moves) { if (chart.name === "rounds") made.yaxis.rangemode = "tozero"; else made.yaxis.range = [0, 102]; }
  if (chart.picked.measure) made.yaxis.title.text = plain(chart.picked.measure);
  if (chart.name === "tail-quality") answerLayout(chart, task, made, colours);
  for (const [along, range] of Object.entries(chart.zoom)) Object.assign(made[along], { range, autorange: false });
  if (chart.threshold) {
    const ms = shownAt(task) / 1e6, along = chart.threshold;
    const across = along === "x" ? "y" : "x";
    if (along === "x" && !printing) made.margin.t = HANDLE + 6;
    made.shapes.push({ type: "line", [`${along}0`]: ms, [`${along}1`]: ms, [`${across}0`]: 0, [`${across}1`]: 1, [`${across}ref`]: "paper",
      line: { color: colours.ink, width: 1.4, dash: "dot" } });
  }
  if (chart.name === "tail-quality") endLabels(chart, task, made, colours);
  return made;
}

// Ideal quality as a line, and axes that begin at nothing.
function answerLayout(chart, task, made, colours) {
  made.yaxis.range = [0, task.top * 1.04];
  const entries = [...task.entries.entries()].filter(([key]) => visible(chart, task).some(series => series.entry === key));
  const ideals = [...new Set(entries.map(([, entry]) => entry.clocks[task.clock].ideal))].sort((one, other) => other - one);
  let above = Infinity;
  for (const ideal of ideals) {
    made.shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: ideal, y1: ideal, line: { color: colours.ink, width: 1, dash: "dash" }, opacity: .6 });
    if (above - ideal < task.top * .06) continue; // its name would lie on that of the line above
    made.annotations.push({ xref: "paper", x: 0, xanchor: "left", y: ideal, yanchor: "bottom", text: `ideal ${nearest(ideal)}`,
      showarrow: false, font: { size: 11, color: colours.ink } });
    above = ideal;
  }
}

// Names at the ends of lines, with what each keeps at the deadline; they give way to each other. Where they have no room, the legend tells.
const HEADING = 15;

function endLabels(chart, task, made, colours) {
  const panel = together(chart).length > 1, [bottom, top] = made.yaxis.range, height = chart.div.clientHeight - made.margin.t - made.margin.b;
  chart.labelled = false;
  if (printing || (panel ? chart.div.clientWidth < 380 : isNarrow(chart))) return;
  const longest = panel ? 14 : 24, gap = 3;
  const ends = visible(chart, task).filter(series => series.entry && !series.faint).map(series => {
    const entry = task.entries.get(series.entry), name = shortName(chart, task, series.entry), parts = name.split(" · ");
    const kept = entry.clocks[task.clock][chart.picked.figure === "mean" ? "mean" : "worst"][task.at];
    const lines = name.length > longest && parts.length > 1 ? [parts[0], parts.slice(1).join(" · ")] : [name];
    const right = chart.zoom.xaxis ? 10 ** chart.zoom.xaxis[1] : Infinity;
    const last = Math.max(0, series.x.findLastIndex(value => value <= right));
    return { entry, key: series.entry, text: `${lines.map(plain).join("<br>")} <b>${nearest(kept)}</b>`, lines: lines.length,
      long: Math.max(...lines.map((line, index) => line.length + (index === lines.length - 1 ? 6 : 0))), y: (values(series.y, task.at)[last] - bottom) / (top - bottom) * height, kept };
  });
  // Of ends at one height the better one stands above, in the order of the answer.
  const level = end => Math.round(end.y / height * 40), order = key => { const figures = task.entries.get(key).clocks[task.clock]; return figures.place[task.at] + figures.kept / 1000; };
  ends.sort((one, other) => level(one) - level(other) || Math.round((one.kept - other.kept) * 1e9) || order(other.key) - order(one.key));
  let room = ends.length > 14 ? 10 : 13, free = -8;
  const needed = ends.reduce((sum, end) => sum + end.lines * room + gap, HEADING);
  if (needed > height + 30) room *= (height + 30) / needed;
  if (panel && room < 9) return;
  const tall = end => end.lines * room + gap;
  for (const end of ends) { end.at = Math.max(end.y, free + tall(end) / 2); free = end.at + tall(end) / 2; }
  let ceiling = height + 14 - HEADING;
  for (const end of [...ends].reverse()) { end.at = Math.min(end.at, ceiling - tall(end) / 2); ceiling = end.at - tall(end) / 2; }
  const size = room < 12 ? 9 : 11;
  made.margin.r = Math.min(210, chart.div.clientWidth * (panel ? .42 : .36), panel ? 12 + size * .62 * Math.max(...ends.map(end => end.long)) : Infinity);
  chart.labelled = true;
  // Once above them: at which deadline their values are.
  made.annotations.push({ xref: "paper", yref: "paper", x: 1, xanchor: "left", xshift: 4, y: (height + 14) / height, yanchor: "top", text: `at ${milliseconds(shownAt(task))}:`,
    showarrow: false, font: { size: 11, color: colours.ink } });
  for (const end of ends)
    made.annotations.push({ xref: "paper", yref: "paper", x: 1, xanchor: "left", xshift: 4, align: "left", y: Math.max(-.05, end.at / height), yanchor: "middle", text: end.text, showarrow: false,
      captureevents: true, name: end.key, opacity: task.picked && task.picked !== end.key ? .45 : 1, font: { size, color: colour(end.entry) } });
}
