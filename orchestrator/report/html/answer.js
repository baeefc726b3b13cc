// The answer at the deadline that is chosen, in the words of report/verdict.py; at the first deadline what the server wrote stands again.
const sum = numbers => numbers.reduce((total, number) => total + number, 0);

// With one decimal: the nearest, of two equally near the even one (quarters alone lie halfway).
const tenth = value => {
  const down = Math.floor(value * 10), halfway = Number.isInteger(value * 4) && value * 4 % 2 !== 0;
  return halfway ? ((down + Math.abs(down % 2)) / 10).toFixed(1) : value.toFixed(1);
};

// What each system keeps, as gains over what is left when all is late; of several processes Student's t over their means. The best first.
function standingsOf(task) {
  const { late, sign } = task.scale ?? { late: 0, sign: 1 }, gained = value => sign * (value - late);
  const found = task.systems.map(system => {
    const entries = system.entries.map(key => task.entries.get(key)), all = entries.map(entry => entry.clocks[task.clock]);
    const at = name => all.map(figures => figures[name][task.at]), means = at("mean").map(gained), count = means.length, gain = sum(means) / count;
    const ideal = gained(all[0].ideal);
    let [low, high] = [gained(at("low")[0]), gained(at("high")[0])].sort((one, other) => one - other);
    if (count > 1) {
      const half = system.t * Math.max(Math.sqrt(sum(means.map(mean => (mean - gain) ** 2)) / (count - 1)), system.resolution) / Math.sqrt(count);
      [low, high] = [gain - half, gain + half];
      if (task.bounded) [low, high] = [Math.max(low, 0), Math.min(high, Math.max(ideal, gain))];
    }
    return { ...system, gain, low, high, worst: Math.min(...at("worst").map(gained)), ideal, count, shown: value => late + sign * value,
      kept: ideal ? gain / ideal : 1, flagged: entries.some(entry => entry.flags[entry.clocks[task.clock].flags[task.at]].length) };
  });
  return found.sort((one, other) => other.gain - one.gain || other.worst - one.worst);
}

const overlap = (one, other) => one.low <= other.high && other.low <= one.high;
const listed = (names, last = ", ") => names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`
  : names.length > 1 ? names.slice(0, -1).join(", ") + last + names.at(-1) : names[0];
const placeName = (one, others) => `${one.system} with ${one.runtime}` + (new Set(others.map(other => other.batch)).size > 1 ? `, batch ${one.batch}` : "")
  + (one.settings ? `, ${one.settings}` : "");
const plainMean = one => nearest(one.shown(one.gain));
const meanOf = (task, one) => task.scale ? `${tenth(100 * one.kept)} %` : plainMean(one);

function keptOf(task, one) {
  const more = (one.count > 1 ? `, mean of ${one.count} processes` : "") + (one.flagged ? ", flagged" : ""), ideal = nearest(one.shown(one.ideal));
  return task.scale ? `${meanOf(task, one)} of what there is to keep (${task.metric} ${plainMean(one)}, without a threshold ${ideal}${more})`
    : `${plainMean(one)} of ${ideal} (${task.metric}${more})`;
}

function acrossModels(task, start, models) {
  const [best, ...others] = models.map(systems => ({ ...systems[0], at: placeName(systems[0], systems) }));
  const alike = others.filter(one => overlap(one, best));
  if (alike.length) return `${start} ${listed([best, ...alike].map(one => `${one.model} (${one.at}, ${task.metric} ${plainMean(one)})`), " and ")} tie: their intervals overlap.`;
  return `${start} ${best.model} keeps the most, ${task.metric} ${plainMean(best)} (${best.at}); the best of ${others[0].model} is ${plainMean(others[0])}, ` +
    `${nearest(best.gain - others[0].gain)} ${(task.scale?.sign ?? 1) > 0 ? "less" : "more"}.`;
}

function acrossSystems(task, start, systems) {
  const best = systems[0], last = systems.at(-1), named = one => placeName(one, systems);
  if (systems.length > 1 && best.gain === last.gain && best.worst === last.worst) return `${start} all ${systems.length} systems keep ${keptOf(task, best)}.`;
  const sentence = `${start} ${named(best)} keeps ${keptOf(task, best)}`;
  if (systems.length === 1) return `${sentence}.`;
  if (overlap(last, best)) return `${sentence}, the most; all systems tie, down to ${named(last)}, which keeps ${meanOf(task, last)}: the intervals overlap.`;
  const alike = systems.slice(1, -1).filter(one => overlap(one, best)).map(named);
  const tied = alike.length ? `; ${listed(alike)} ${alike.length === 1 ? "ties" : "tie"} with it` : "";
  const own = last.ideal !== best.ideal && !task.scale ? ` of its ${nearest(last.ideal)}` : "";
  return `${sentence}, the most${tied}. ${named(last)} keeps ${meanOf(task, last)}${own}, ${tenth(best.ideal ? 100 * ((best.gain - last.gain) / best.ideal) : 0)} % of ideal quality less.`;
}

function winnersAt(task, bound) {
  const found = standingsOf(task), models = [...new Set(found.map(one => one.model))].map(model => found.filter(one => one.model === model));
  return [...(models.length > 1 ? [acrossModels(task, `${task.task} within ${bound}:`, models)] : []),
    ...models.map(systems => acrossSystems(task, `${task.task}, ${systems[0].model}, within ${bound}:`, systems))];
}

// Each flag of figures at the deadline with the trials that have it, and wide intervals.
function doubtsAt(task) {
  const whose = new Map(), wide = [], { late } = task.scale ?? { late: 0 };
  for (const entry of task.entries.values()) {
    const figures = entry.clocks[task.clock];
    for (const [anchor, flag] of entry.flags[figures.flags[task.at]]) whose.set(flag, { anchor, labels: [...(whose.get(flag)?.labels ?? []), entry.label] });
    if (Math.abs(figures.high[task.at] - figures.low[task.at]) > task.wide.share * Math.abs(figures.ideal - late)) wide.push(entry.label);
  }
  return [...[...whose].map(([flag, { anchor, labels }]) => [anchor, flag, labels]), ...(wide.length ? [[task.wide.anchor, task.wide.term, wide]] : [])];
}

function told(labels, size) {
  if (labels.length === size) return size === 1 ? "1 trial" : size === 2 ? "both trials" : `all ${size} trials`;
  return labels.length <= 3 ? labels.join(", ") : `${labels.length} of ${size} trials`;
}

function moveAnswer(task, text, names) {
  const section = task.section, clock = task.clocks[task.clock], between = section.querySelector("[data-between]");
  const sentences = [...section.querySelectorAll("[data-win], [data-test]")], box = section.querySelector("[data-doubts]");
  const name = names[0] ? names[0].startsWith("p") ? `${names[0]} (${text})` : names[0] : text;
  task.home ??= { clock: task.clock, ns: deadline(task), name, said: sentences.map(place => place.textContent), doubts: [...box.childNodes], kind: box.className };
  const home = task.clock === task.home.clock && deadline(task) === task.home.ns;
  between.hidden = task.asked === null;
  between.textContent = `No figures were computed at ${text} itself: those shown are of ${clock.ns[task.at] / 1e6} ms, the ${clock.ns[task.at] > task.asked ? "first" : "last before it"}.`;
  if (!task.systems.length) return;
  const bound = name + (task.clock === task.home.clock ? "" : ` of ${task.clock} time`);
  const test = `No test was made at this deadline, only at ${task.home.name} of ${task.home.clock} time; here intervals alone say what ties.`;
  const said = home ? task.home.said : [...winnersAt(task, bound), test];
  sentences.forEach((place, index) => { place.textContent = said[index]; });
  if (home) { box.className = task.home.kind; box.replaceChildren(...task.home.doubts); return; }
  const lines = doubtsAt(task).map(([anchor, term, labels]) => {
    const line = made("p"), link = made("a", term);
    link.href = `#${anchor}`;
    line.append(link, `: ${told(labels, task.entries.size)}.`);
    return line;
  });
  lines.push(...task.home.doubts.filter(line => line.dataset?.always !== undefined));
  box.className = lines.length ? "doubt" : "calm";
  box.replaceChildren(task.home.doubts.find(line => line.tagName === "H3"), ...(lines.length ? lines : [made("p", "No trial is flagged or unsteady here, and every deadline is certified.")]));
}
