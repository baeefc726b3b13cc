// The start: the text of the page stands already; figures come once they are unpacked.

function swatches() {
  for (const task of tasks)
    for (const place of task.section.querySelectorAll("[data-swatch]")) place.replaceChildren(swatch(task.entries.get(place.dataset.swatch)));
}

function redraw(all) {
  swatches();
  for (const task of tasks) drawStrips(task);
  for (const chart of charts.values()) { chart.stale = true; if (all || chart.inView) draw(chart); }
}

function theme() {
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
}

function paper() {
  let before, opened = [];
  addEventListener("beforeprint", () => {
    printing = true;
    before = root.dataset.theme;
    root.dataset.theme = "light";
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
    redraw(true);
  });
  addEventListener("afterprint", () => {
    printing = false;
    if (before === undefined) delete root.dataset.theme; else root.dataset.theme = before;
    for (const details of opened) details.open = false;
    redraw(false);
  });
}

// A link into a folded part opens it.
function unfold() {
  const found = location.hash.length > 1 && !location.hash.includes("=") ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  for (let part = found?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  found?.scrollIntoView();
}

function start(page, arrays) {
  stored = arrays;
  for (const place of document.querySelectorAll("[data-table]")) writeTable(place, page.tables[place.dataset.table], page.flags);
  tasks = page.tasks.map(taskOf);
  charts = new Map(Object.entries(page.charts).map(([name, chart]) => [name, chartOf(name, chart)]));
  swatches();
  for (const task of tasks) { marks(task); listenToControls(task); listenToStrips(task); }
  for (const button of document.querySelectorAll("[data-copy]")) { button.hidden = false; button.addEventListener("click", () => copyTable(button)); }
  for (const task of tasks) show(task);
  restoring = false;
  restore();
  theme();
  paper();
  const watcher = new IntersectionObserver(seen => {
    for (const one of seen) {
      const chart = charts.get(one.target.dataset.chart);
      chart.inView = one.isIntersecting;
      if (chart.inView && chart.stale) draw(chart);
    }
  }, { rootMargin: "400px" });
  for (const chart of charts.values()) watcher.observe(chart.div);
  addEventListener("hashchange", () => { restore(); unfold(); });
  addEventListener("resize", () => { for (const task of tasks) drawStrips(task); });
  unfold();
  root.dataset.ready = "yes";
}
