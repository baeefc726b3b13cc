// The answer at the deadline that is chosen, in the words of report/verdict.py; at the first deadline what the server wrote stands again.
// With one decimal: the nearest, of two equally near the even one (quarters alone lie halfway).
const tenth = value => {
  const down = Math.floor(value * 10), halfway = Number.isInteger(value * 4) && value * 4 % 2 !== 0;
  return halfway ? ((down + Math.abs(down % 2)) / 10).toFixed(1) : value.toFixed(1);
};

// What each system keeps, as gains over what is left when all is late, the best first.
function standingsOf(task) {
  const { late, sign } = task.scale ?? { late: 0, sign: 1 }, gained = value => sign * (value - late);
  const found = task.systems.map(system => {
    const entry = task.entries.get(system.entry), figures = entry.clocks[task.clock], at = name => gained(figures[name][task.at]);
    const gain = at("mean"), ideal = gained(figures.ideal), [low, high] = [at("low"), at("high")].sort((one, other) => one - other);
    const flags = new Map(entry.flags[figures.flags[task.at]].map(flag => [flag[1], flag]));
    return { ...system, own: system, flags, gain, low, high, worst: at("worst"), ideal, count: system.processes, shown: value => late + sign * value,
      kept: ideal ? gain / ideal : 1, level: [gain, at("worst")].map(value => Math.round(value * 1e9) / 1e9),
      deadlines: system.deadlines[task.clock].map(ns => ns ?? Infinity) };
  });
  return found.sort((one, other) => other.level[0] - one.level[0] || other.level[1] - one.level[1] || before(one, other));
}

const before = ({ deadlines: [certified, observed] }, { deadlines: [other, seen] }) =>
  certified < other ? -1 : certified > other ? 1 : observed < seen ? -1 : observed > seen ? 1 : 0;
const asMuch = (one, other) => one.level[0] === other.level[0] && one.level[1] === other.level[1];

const overlap = (one, other) => one.low <= other.high && other.low <= one.high;
const listed = (names, last = ", ") => names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`
  : names.length > 1 ? names.slice(0, -1).join(", ") + last + names.at(-1) : names[0];
const placeName = (one, others) => `${one.system} with ${one.runtime}` + (new Set(others.map(other => other.batch)).size > 1 ? `, batch ${one.batch}` : "")
  + (one.settings ? `, ${one.settings}` : "");
const plainMean = one => nearest(one.shown(one.gain));
const meanOf = (task, one) => task.scale ? `${tenth(100 * one.kept)} %` : plainMean(one);

function keptOf(task, one) {
  const more = (one.count > 1 ? `, mean of ${one.count} processes` : "") + (one.flags.size ? `, flagged: ${listed([...one.flags.keys()])}` : ""), ideal = nearest(one.shown(one.ideal));
  return task.scale ? `${meanOf(task, one)} of what there is to keep (${task.metric} ${plainMean(one)}, without a threshold ${ideal}${more})`
    : `${plainMean(one)} of ${ideal} (${task.metric}${more})`;
}

// Models are compared on samples like these, which is done beforehand, at the common deadlines.
function acrossModels(task, start, models) {
  const told = models.map(systems => `${systems[0].model} (${placeName(systems[0], systems)}) ${task.metric} ${plainMean(systems[0])}, ${tenth(100 * systems[0].kept)} % of its ideal`);
  return `${start} models are not tested here: ${[...told.slice(0, 3), ...told.length > 3 ? [`${told.length - 3} more`] : []].join("; ")}.`;
}

function acrossSystems(task, start, systems) {
  const best = systems[0], last = systems.at(-1), named = one => placeName(one, systems);
  if (systems.length > 1 && asMuch(best, last)) return `${start} all ${systems.length} systems keep ${keptOf(task, best)}.`;
  const sentence = `${start} ${named(best)} keeps ${keptOf(task, best)}`, others = systems.slice(1);
  if (!others.length) return `${sentence}.`;
  const count = systems.filter(one => asMuch(one, best)).length, kind = best.deadlines[0] < Infinity ? "certified" : best.deadlines[1] < Infinity ? "observed" : "";
  const as = count > 1 ? ` (${count} systems keep exactly as much${kind ? `; its ${kind} deadline is the shortest` : ""})` : "";
  const first = others.find(one => !overlap(one, best)), alike = others.filter(one => overlap(one, best)).map(named);
  if (!first) return `${sentence}, the most${as}; none is told apart from it, down to ${named(last)}, which keeps ${meanOf(task, last)}.`;
  const close = alike.length ? `; ${listed(alike)} ${alike.length === 1 ? "is" : "are"} not told apart from it by their intervals` : "";
  const own = one => one.ideal !== best.ideal && !task.scale ? ` of its ${nearest(one.ideal)}` : "";
  const less = tenth(best.ideal ? 100 * ((best.gain - first.gain) / best.ideal) : 0), end = first === last ? "" : `; the last, ${named(last)}, ${meanOf(task, last)}${own(last)}`;
  return `${sentence}, the most${as}${close}. ${named(first)} keeps ${meanOf(task, first)}${own(first)}, ${less} % of ideal quality less${end}.`;
}

function winnersAt(task, bound) {
  const found = standingsOf(task), models = [...new Set(found.map(one => one.model))].map(model => found.filter(one => one.model === model));
  return [...(models.length > 1 ? [acrossModels(task, `${task.task} within ${bound}:`, models)] : []),
    ...models.map(systems => acrossSystems(task, `${task.task}, ${systems[0].model}, within ${bound}:`, systems))];
}

// Each flag of figures at the deadline with the systems that have it, and wide intervals.
function doubtsAt(task) {
  const whose = new Map(), wide = [], found = standingsOf(task).sort((one, other) => task.systems.indexOf(one.own) - task.systems.indexOf(other.own));
  for (const one of found) {
    for (const [anchor, flag] of one.flags.values()) whose.set(flag, { anchor, labels: [...(whose.get(flag)?.labels ?? []), one.label] });
    if (one.high - one.low > task.wide.share * Math.abs(one.ideal)) wide.push(one.label);
  }
  return [...[...whose].map(([flag, { anchor, labels }]) => [anchor, flag, labels]), ...(wide.length ? [[task.wide.anchor, task.wide.term, wide]] : [])];
}

function told(labels, size) {
  if (labels.length === size) return size === 1 ? "the one system" : size === 2 ? "both systems" : `all ${size} systems`;
  return labels.slice(0, 3).join(", ") + (labels.length > 3 ? ` and ${labels.length - 3} more of ${size} systems` : "");
}

function moveAnswer(task, text, names) {
  const section = task.section, clock = task.clocks[task.clock], between = section.querySelector("[data-between]");
  const sentences = [...section.querySelectorAll("[data-win], [data-test]")], box = section.querySelector("[data-doubts]");
  const name = names[0] ? names[0].startsWith("p") ? `${names[0]} (${text})` : names[0] : text, ns = clock.ns[task.at];
  task.home ??= { clock: task.clock, ns, name, said: sentences.map(place => place.textContent), doubts: [...box.childNodes], kind: box.className };
  const home = task.clock === task.home.clock && ns === task.home.ns, bound = name + (task.clock === task.home.clock ? "" : ` of ${task.clock} time`);
  const near = task.asked === null ? "" : `, the nearest computed to ${task.asked / 1e6} ms`;
  between.hidden = task.asked === null;
  between.textContent = `No figures were computed at ${task.asked / 1e6} ms itself: all that is shown is of ${ns / 1e6} ms, the nearest that was.`;
  if (!task.systems.length) return;
  const common = task.clock === task.home.clock && task.said[ns];
  const test = `Differences were computed at the common deadlines of ${task.home.clock} time; here intervals alone say what ties.`;
  const said = home ? task.home.said : common || [...winnersAt(task, bound), test];
  sentences.forEach((place, index) => { place.textContent = (said[index] ?? "").replace(`within ${bound}:`, `within ${bound}${near}:`); });
  const short = document.getElementById(`in-short-${task.number}`);
  if (short) short.textContent = sentences[0].textContent.slice(task.task.length);
  if (home) { box.className = task.home.kind; box.replaceChildren(...task.home.doubts); listDoubts(task, box); return; }
  const lines = doubtsAt(task).map(([anchor, term, labels]) => {
    const line = made("p"), link = made("a", term);
    link.href = `#${anchor}`;
    line.append(link, `: ${told(labels, task.systems.length)}.`);
    return line;
  });
  lines.push(...task.home.doubts.filter(line => line.dataset?.always !== undefined));
  box.className = lines.length ? "doubt" : "calm";
  box.replaceChildren(task.home.doubts.find(line => line.tagName === "H3"), ...(lines.length ? lines : [made("p", "No system is flagged or unsteady here, and every deadline is certified.")]));
  listDoubts(task, box);
}

// In the list of tasks: the names of what is in doubt.
function listDoubts(task, box) {
  const place = document.getElementById(`doubtful-${task.number}`), terms = [...box.querySelectorAll('p a:not([href="#problems"])')].map(link => link.textContent);
  if (place) place.textContent = terms.length ? `Doubtful: ${terms.join(", ")}.` : "";
}
