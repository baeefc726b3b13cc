"""What a comparison comes to, in one line and in sentences, and the commands that would give a verdict where there is none."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from orchestrator.compare.campaigns import ALARM, PASSED, SEVERITY, UNDECIDED, Comparison
from orchestrator.compare.differences import LOAD_DIFFERS, LOADS, differences, drawn_otherwise, sides_of
from orchestrator.compare.rows import BLIND, FINISH, MISSING, NO_VERDICT, percent
from orchestrator.configuration.config import Trial
from orchestrator.report.html import said
from orchestrator.report.pasted import ORCHESTRATOR, plain_word, words_again
from orchestrator.stats.constants import FEWEST_REPEATS

UNKNOWN = "noise floor unknown"
# Pairs that are asked for where fewer were too blind.
MORE_PAIRS = 10
# Verbs whose trials no command measures again: rates of a search, and what another program has measured.
NOT_MEASURED_AGAIN = ("capacity", "import")
AXES = ("model", "task", "system", "runtime")
MOST_TOLD, MOST_KINDS = 8, 2
# Measures all processes in one, so that no process is a fresh one.
INLINE = "cluster=inline"
RESULTS = {PASSED: "pass", ALARM: "fail", UNDECIDED: "no verdict"}

Side = tuple[str, ...]
say = partial(said, "orchestrator.compare")


class Headline(NamedTuple):
    """The first line of a page and on a terminal.

    result
        what the gate says, or would say (`RESULTS`); without a gate there is none where nothing could be compared.
    sentence
        the same in words.
    commands
        each of which would give a verdict, where one is lacking.
    """

    result: str
    sentence: str
    commands: tuple[str, ...] = ()


def headline(comparison: Comparison, places: tuple[Path, Path] = (Path("A"), Path("B")), allow_no_verdict: bool = False) -> Headline:
    """Return what a comparison comes to. ``places`` are baseline and candidate, as the command line named them."""
    kinds = outcomes(comparison)
    nothing = comparison.min_effect is None and [*kinds] == [MISSING]
    result = RESULTS[UNDECIDED if nothing else comparison.exit_code(allow_no_verdict)]
    verdict = say(
        "verdict",
        result=result,
        nothing=nothing,
        kinds=kinds,
        undecided=kinds.get(NO_VERDICT, 0),
        reasons=_reasons(comparison),
        fewest=FEWEST_REPEATS,
        effect=percent(comparison.min_effect or 0),
    )
    parts = [verdict, *other_settings(comparison), say("one_campaign", comparison=comparison)]
    return Headline(result, " ".join(filter(None, parts)), tuple(commands(comparison, places, result == "no verdict")))


def outcomes(comparison: Comparison) -> Mapping[str, int]:
    """Count the trials by outcome, the worst first; of several thresholds the worst one counts."""
    worst = {row.match_key: row.kind for row in reversed(comparison.rows)}
    counts = Counter(worst.values())
    return {kind: counts[kind] for kind in SEVERITY if counts[kind]}


def _reasons(comparison: Comparison) -> list[str]:
    """Return why trials have no verdict, each reason once."""
    return list(dict.fromkeys(row.outcome.partition(": ")[2] for row in comparison.rows if row.kind == NO_VERDICT))


def sentences(comparison: Comparison) -> Iterator[str]:
    """Yield what was compared, what came out, and what else differed."""
    kinds = outcomes(comparison)
    yield say("sides", comparison=comparison)
    yield say("counted", count=sum(kinds.values()), kinds=kinds)
    if comparison.only_after:
        yield say("only_after", keys=comparison.only_after)
    if comparison.paired:
        yield say("in_pairs", differing=comparison.differing)
    if loaded := {row.match_key for row in comparison.rows if LOAD_DIFFERS in row.flags}:
        what = dict.fromkeys(change.name for change in comparison.changes if change.name in {load.name for load in LOADS})
        yield say("load_differs", what=what, count=len(loaded))
    if comparison.apart:
        yield say("apart", fewest=FEWEST_REPEATS)


def other_settings(comparison: Comparison) -> Iterator[str]:
    """Yield in how many trials of the baseline which settings differ from those of the candidate's nearest, and how many have none."""
    kinds: dict[tuple[str, ...], set[str]] = {}
    for row in comparison.rows:
        if row.nearest is not None:
            found = differences(row.trial, row.nearest.trial) or drawn_otherwise(row.trial, row.nearest.trial)
            kinds.setdefault(tuple(found), set()).add(row.match_key)
    count = len({row.match_key for row in comparison.rows})
    for told, trials in sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:MOST_KINDS]:
        yield say("settings_differ", told=told, most=MOST_TOLD, some=len(trials), count=count)
    if len(kinds) > MOST_KINDS:
        yield f"{len(kinds) - MOST_KINDS} more kinds of difference: --full."
    if alone := {row.match_key for row in comparison.rows if row.kind == MISSING and row.nearest is None and FINISH not in row.why}:
        yield say("nothing_like", count=len(alone))


def commands(comparison: Comparison, places: tuple[Path, Path], undecided: bool) -> Iterator[str]:
    """Yield commands that would give a verdict, by what is missing; ``undecided`` is whether the gate has none, or would have none."""
    command_before, command = comparison.commands
    if command and command[0] in NOT_MEASURED_AGAIN:
        return
    before, after = (plain_word(str(place), name) for place, name in zip(places, "AB", strict=True))
    if any(FINISH in row.why for row in comparison.rows):
        yield f"{ORCHESTRATOR} resume {after}  # finish the candidate, then compare again"
    yield from _of_settings(comparison)
    if not undecided:
        return
    reasons = _reasons(comparison)
    mine, theirs = (next((word for word in of if _key(word) == "code"), None) for of in (command_before, command))
    a, b = (_folder_of(word, name) if mine != theirs else name for word, name in ((mine, "A"), (theirs, "B")))
    # The code of a side goes with the side: as a word of both it would be that of both.
    words = words_again([word for word in command if mine == theirs or _key(word) != "code"])
    if comparison.apart or UNKNOWN in reasons:
        yield f"{ORCHESTRATOR} compare --run {a} {b} {words} --gate  # in pairs; A and B: folders of code, or overrides"
    if BLIND in reasons:
        yield f"{ORCHESTRATOR} compare {before} {after} --gate analysis.primary=p50  # a threshold at which quality feels speed"
        yield f"{ORCHESTRATOR} compare --run {a} {b} {words} --pairs {MORE_PAIRS} --gate  # more repeats, in pairs"


def _folder_of(code: str | None, name: str) -> str:
    """Return the one folder that a word such as ``code=[mine]`` names, else the name of its side."""
    folders = [] if code is None else code.partition("=")[2].strip("[]").split(",")
    return plain_word(folders[0], name) if len(folders) == 1 else name


def _of_settings(comparison: Comparison) -> Iterator[str]:
    """Yield what says what other settings change, in pairs; nothing where samples differ, which are never compared."""
    command_before, command = comparison.commands
    kinds: dict[tuple[Side, Side], list[Trial]] = {}
    for row in comparison.rows:
        if row.nearest is not None and command and (sides := sides_of(row.trial, row.nearest.trial, (*command, *command_before))):
            kinds.setdefault(sides, []).append(row.nearest.trial)
    for sides, nearest in sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:MOST_KINDS]:
        set_here = {_key(word) for words in sides for word in words}
        narrowed = narrowing(nearest, comparison.after_trials, [axis for axis in AXES if axis not in set_here])
        given_anew = {_key(word) for word in narrowed}
        common = [*(word for word in _typed(command, set_here) if _key(word) not in given_anew), *narrowed]
        shown = [[plain_word(word, "") for word in words] for words in sides]  # empty where one of a stranger could be read otherwise
        if all(map(all, shown)) and not any(key.startswith("task.") and key != "task.preload" for key in set_here):
            a, b = (shlex.quote(" ".join(words)) for words in shown)
            yield f"{ORCHESTRATOR} compare --run {a} {b} {words_again(common)} --gate  # what these settings change, in pairs"


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _typed(command: Sequence[str], set_here: set[str]) -> Iterator[str]:
    """Yield the words that both sides have: what was typed, without what the sides set, and options that choose no trials."""
    renamed = {key for key in set_here if "." not in key}
    words = iter(word for word in command if word != INLINE)
    for number, word in enumerate(words):
        if word == "--config-dir":
            yield word
            yield next(words, ".")
        elif word in ("-m", "--multirun"):
            yield "-m"
        elif word.startswith("--config-dir=") or (not word.startswith("-") and (number or word != "run")):
            key = _key(word)
            if word.startswith("-") or not (key in set_here or key.partition(".")[0] in renamed):
                yield word


def narrowing(wanted: Sequence[Trial], trials: Sequence[Trial], axes: Sequence[str]) -> list[str]:
    """Return words that leave of a campaign's trials those of the names that are wanted; none where no such words do."""
    left, words = list(trials), []
    for axis in axes:
        names = dict.fromkeys(getattr(trial, axis).name for trial in wanted)
        if {getattr(trial, axis).name for trial in left} - set(names):
            left = [trial for trial in left if getattr(trial, axis).name in names]
            words.append(f"{axis}={','.join(names)}")
    several = any("," in word for word in words)
    return [*(["-m"] if several else []), *words]
