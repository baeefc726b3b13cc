// The answer at the deadline that is chosen, in the words of report/winners.py; at the first deadline what the server wrote stands again.
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
const listed = names => names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
const placeName = (one, others) => `${one.system} with ${one.runtime}` + (new Set(others.map(other => other.batch)).size > 1 ? `, batch ${one.batch}` : "")
  + (one.settings ? `, ${one.settings}` : "");
const plainMean = one => nearest(one.shown(one.gain));
const meanOf = (task, one) => task.scale ? `${tenth(100 * one.kept)} %` : plainMean(one);

function keptOf(task, one, flagged, downTo = "", exactly = "") {
  const more = (one.count > 1 ? `, mean of ${one.count} processes` : "") + (flagged ? `, ${flagged}` : ""), ideal = nearest(one.shown(one.ideal));
  return task.scale ? `${meanOf(task, one)}${downTo} of what there is to keep${exactly} (${task.metric} ${plainMean(one)}, without a threshold ${ideal}${more})`
    : `${plainMean(one)}${downTo} of ${ideal}${exactly} (${task.metric}${more})`;
}

// Models are compared on samples like these, which is done beforehand, at the common deadlines.
function acrossModels(task, start, models) {
  const places = models.map(systems => placeName(systems[0], systems)), where = new Set(places).size === 1 ? `on ${places[0]}, ` : "";
  const ofIdeal = one => plainMean(one) + (task.scale ? `, ${tenth(100 * one.kept)} % of its ideal` : ` of its ${nearest(one.shown(one.ideal))}`);
  const told = models.map(([head], index) => `${head.model}${where ? "" : ` (${places[index]})`} ${task.metric} ${ofIdeal(head)}`);
  return `${start} models are not tested here: ${where}${[...told.slice(0, 3), ...told.length > 3 ? [`${told.length - 3} more`] : []].join("; ")}.`;
}

// The flags of some systems that not all systems share.
function flaggedOf(some, shared) {
  const own = [...new Set(some.flatMap(one => [...one.flags.keys()]))].filter(flag => !shared.includes(flag));
  return own.length ? `flagged: ${listed(own)}` : "";
}

// No difference is stored here: what ties does so by intervals alone.
function acrossSystems(task, start, systems) {
  const best = systems[0], named = one => placeName(one, systems), alike = systems.slice(1).filter(one => overlap(one, best)), behind = systems.slice(1).filter(one => !overlap(one, best));
  const shared = systems.length > 1 ? [...best.flags.keys()].filter(flag => systems.every(one => one.flags.has(flag))) : [];
  const said = alike.length ? tieOf(task, best, alike, systems, shared) : `${named(best)} keeps ${keptOf(task, best, flaggedOf([best], shared))}${behind.length ? ", the most" : ""}`;
  const after = behind.length ? ` Behind: ${behindOf(task, best, behind, systems, shared)}.` : "", whose = systems.length === 2 ? "Both" : `All ${systems.length}`;
  return `${start} ${said}.${after}${shared.length ? ` ${whose} flagged: ${listed(shared)}.` : ""}`;
}

function tieOf(task, best, alike, systems, shared) {
  const tied = [best, ...alike], exact = tied.filter(one => asMuch(one, best)).length, names = tied.map(one => placeName(one, systems));
  const exactly = exact === 1 ? "" : exact === tied.length ? ", exactly" : `, ${exact} of them exactly`, by = exact === tied.length ? "" : ", by intervals alone";
  const kind = best.deadlines[0] < Infinity ? "certified" : best.deadlines[1] < Infinity ? "observed" : "", last = meanOf(task, tied.at(-1));
  if (exact > 1 && kind) names[0] += ` (first by its ${kind} deadline)`;
  const which = tied.length === systems.length ? (systems.length === 2 ? "both systems" : `all ${systems.length} systems`) : `${tied.length} of ${systems.length} systems`;
  const kept = keptOf(task, best, flaggedOf(tied, shared).replace("flagged:", "flagged among them:"), last === meanOf(task, best) ? "" : ` to ${last}`, exactly + by);
  return `tie of ${which} at ${kept}: ${listed(names)}`;
}

function behindOf(task, best, behind, systems, shared) {
  const own = one => one.ideal !== best.ideal && !task.scale ? ` of its ${nearest(one.ideal)}` : "", first = behind[0], last = systems.at(-1);
  const at = one => { const flagged = flaggedOf([one], shared); return `at ${meanOf(task, one)}${own(one)}${flagged ? ` (${flagged})` : ""}`; };
  const share = tenth(best.ideal ? 100 * ((best.gain - first.gain) / best.ideal) : 0);
  const less = task.scale ? `${share} % of what there is to keep less` : `${nearest(Math.round((best.gain - first.gain) * 1e9) / 1e9)} less (${share} % of ideal quality)`;
  const said = `${placeName(first, systems)} ${at(first)}, ${less}`;
  return first === last || !behind.includes(last) ? said : `${said}; the last, ${placeName(last, systems)}, ${at(last)}`;
}

function winnersAt(task, bound) {
  const found = standingsOf(task), models = [...new Set(found.map(one => one.model))].map(model => found.filter(one => one.model === model));
  return [...(models.length > 1 ? [acrossModels(task, `${task.task} within ${bound}:`, models)] : []),
    ...models.map(systems => acrossSystems(task, `${models.length > 1 ? systems[0].model : `${task.task}, ${systems[0].model},`} within ${bound}:`, systems))];
}

// Each flag of figures at the deadline with the systems that have it, and wide intervals.
function doubtsAt(task) {
  const whose = new Map(), wide = [], ranked = standingsOf(task), heads = new Set([...new Set(ranked.map(one => one.model))].map(model => ranked.find(one => one.model === model)));
  const found = [...ranked].sort((one, other) => heads.has(other) - heads.has(one) || task.systems.indexOf(one.own) - task.systems.indexOf(other.own));
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
  const wins = [...section.querySelectorAll("[data-win]")], tests = [...section.querySelectorAll("[data-test]")], link = section.querySelector("[data-elsewhere] a"), box = section.querySelector("[data-doubts]");
  const name = names[0] ? names[0].startsWith("p") ? `${names[0]} (${text})` : names[0] : text, ns = clock.ns[task.at];
  task.home ??= { clock: task.clock, ns, name, said: { wins: wins.map(place => place.textContent), test: tests.map(place => place.textContent),
    elsewhere: link?.hasAttribute("href") ? [link.textContent, link.getAttribute("href")] : null }, doubts: [...box.childNodes], kind: box.className };
  const home = task.clock === task.home.clock && ns === task.home.ns, bound = name + (task.clock === task.home.clock ? "" : ` of ${task.clock} time`);
  const near = task.asked === null ? "" : `, the nearest computed to ${task.asked / 1e6} ms`;
  between.hidden = task.asked === null;
  between.textContent = `No figures were computed at ${task.asked / 1e6} ms itself: all that is shown is of ${ns / 1e6} ms, the nearest that was.`;
  if (!task.systems.length) return;
  const common = task.clock === task.home.clock && task.said[ns];
  const test = `Differences were computed at the common deadlines of ${task.home.clock} time; here intervals alone say what ties.`;
  const said = home ? task.home.said : common || { wins: winnersAt(task, bound), test: [test], elsewhere: null };
  wins.forEach((place, index) => { place.textContent = (said.wins[index] ?? "").replace(`within ${bound}:`, `within ${bound}${near}:`); });
  tests.forEach((place, index) => { place.textContent = said.test[index] ?? ""; place.hidden = !said.test[index]; });
  for (const place of section.querySelectorAll("[data-command]")) place.hidden = said.test.length < 2;
  if (link) showElsewhere(task, link, said.elsewhere);
  const short = document.getElementById(`in-short-${task.number}`), brief = document.getElementById(`shown-${task.number}`);
  if (brief && said.test.length) brief.textContent = `Shown: ${said.test[0][0].toLowerCase()}${said.test[0].slice(1).split(". ")[0].replace(/\.$/, "")}.`;
  if (short) short.textContent = wins[0].textContent.slice(task.task.length);
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

// A link to the nearest deadline at which systems differ, where none does here.
function showElsewhere(task, link, found) {
  const end = task.number || "";
  link.parentElement.hidden = !found;
  link.textContent = found ? found[0] : "";
  if (!found) link.removeAttribute("href");
  else link.setAttribute("href", typeof found[1] === "string" ? found[1] : `#t${end}=${found[1] / 1e6}ms&clock${end}=${task.home.clock}`);
}

// Before each deadline that the best systems keep: that it is longer than the one that is shown.
function sayLate(task, text) {
  for (const place of document.querySelectorAll(`[data-late-of="${task.number}"]`)) {
    const { late, lateClock, said } = place.dataset;
    place.textContent = lateClock === task.clock && Number(late) > shownAt(task) ? said.replace("{}", text) : "";
  }
}

// In the list of tasks: what is in doubt, and of which systems.
function listDoubts(task, box) {
  const place = document.getElementById(`doubtful-${task.number}`), links = [...box.querySelectorAll('p a:not([href="#problems"])')];
  const doubts = links.map(link => `${link.textContent} (${link.parentElement.textContent.slice(link.textContent.length + 2, -1)})`);
  if (place) place.textContent = doubts.length ? `Doubtful: ${doubts.join(", ")}.` : "";
}
