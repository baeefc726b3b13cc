// Quality of every round, one strip of bars for each system; those of several processes stand side by side.
const TALL = 34;

function drawStrip(canvas, task) {
  const entry = task.entries.get(canvas.dataset.strip), clock = entry.clocks[task.clock];
  const bars = values(clock.rounds, task.at), wide = canvas.clientWidth || 300, scale = printing ? 2 : devicePixelRatio || 1;
  canvas.width = wide * scale; canvas.height = TALL * scale;
  const pen = canvas.getContext("2d"), step = canvas.width / bars.length, enough = task.keep * clock.ideal;
  const slow = dark() ? "#f2a33c" : "#d9700a", usual = dark() ? "#56606b" : "#9aa6b2";
  pen.clearRect(0, 0, canvas.width, canvas.height);
  bars.forEach((value, index) => {
    const high = Math.max(2 * scale, (value ?? 0) / task.top * canvas.height);
    pen.fillStyle = (value ?? 0) < enough - 1e-6 ? slow : usual;
    pen.fillRect(index * step, canvas.height - high, Math.max(1, step - (step > 4 * scale ? scale : 0)), high);
  });
  // A gap between processes.
  let end = 0;
  for (const count of clock.bars.slice(0, -1)) { end += count; pen.clearRect(end * step - 1.5 * scale, 0, 3 * scale, canvas.height); }
  canvas.bars = bars;
}

// What a bar stands for: the number of its round, and of several processes which of them.
function roundOf(clock, bar) {
  let process = 0, before = 0;
  while (bar >= before + clock.bars[process]) before += clock.bars[process++];
  return (clock.bars.length > 1 ? `process ${process + 1}, ` : "") + `round ${Math.round(clock.centres[bar]) + 1}`;
}

function tellRound(canvas, task, index) {
  const entry = task.entries.get(canvas.dataset.strip), clock = entry.clocks[task.clock];
  const bar = Math.min(canvas.bars.length - 1, Math.max(0, index)), text = `${roundOf(clock, bar)}: ${nearest(canvas.bars[bar])}`;
  canvas.at = bar;
  canvas.title = text;
  canvas.setAttribute("aria-valuenow", String(clock.bars.length > 1 ? bar + 1 : Math.round(clock.centres[bar]) + 1)); canvas.setAttribute("aria-valuetext", text);
  canvas.closest("li").querySelector("[data-told]").textContent = text;
}

function summary(canvas, task) {
  const entry = task.entries.get(canvas.dataset.strip), clock = entry.clocks[task.clock], bars = canvas.bars;
  const slow = bars.filter(value => (value ?? 0) < task.keep * clock.ideal - 1e-6).length, worst = bars.indexOf(Math.min(...bars));
  canvas.closest("li").querySelector("[data-told]").textContent =
    `${slow} of ${bars.length} below, worst ${nearest(bars[worst])} in ${roundOf(clock, worst)}`;
}

function drawStrips(task) {
  for (const canvas of task.section.querySelectorAll("[data-strip]")) { drawStrip(canvas, task); summary(canvas, task); }
}

function listenToStrips(task) {
  for (const canvas of task.section.querySelectorAll("[data-strip]")) {
    canvas.addEventListener("pointermove", event => {
      const at = canvas.getBoundingClientRect();
      tellRound(canvas, task, Math.floor((event.clientX - at.left) / at.width * canvas.bars.length));
    });
    canvas.addEventListener("pointerleave", () => summary(canvas, task));
    canvas.addEventListener("click", () => pick(task, canvas.dataset.strip));
    canvas.addEventListener("keydown", event => {
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (by) { event.preventDefault(); tellRound(canvas, task, (canvas.at ?? -1) + by); }
      if (event.key === "Enter") pick(task, canvas.dataset.strip);
    });
  }
}
