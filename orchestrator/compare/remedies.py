"""The commands that would give a verdict where a comparison has none, and what stands in its way."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.compare.campaigns import Comparison
from orchestrator.compare.comparison_tables import BLIND, UNKNOWN
from orchestrator.compare.rows import FINISH, MISSING, NO_VERDICT, Compared
from orchestrator.compare.settings import differences, drawn_otherwise, sides_of
from orchestrator.configuration.config import Trial
from orchestrator.report.pasted import ORCHESTRATOR, measured_again, plain_word, words_again
from orchestrator.report.text import trials_counted
from orchestrator.stats.replication import FEWEST_REPEATS

ENOUGH_REPEATS = 5
"""Repeats that are asked for where the fewest that give a verdict would find little."""
NOT_MEASURED_AGAIN = ("capacity", "import")
"""Verbs whose trials no command measures again: rates of a search, and what another program has measured."""
AXES = ("model", "task", "system", "runtime")
MOST_TOLD, MOST_KINDS = 8, 2
INLINE = "cluster=inline"
"""Measures all processes in one, so that no process is a fresh one."""

Side = tuple[str, ...]


def other_settings(comparison: Comparison) -> Iterator[str]:
    """Yield in how many trials of the baseline which settings differ from those of the candidate's nearest, and how many have none."""
    kinds: dict[tuple[str, ...], set[str]] = {}
    for row in _with_nearest(comparison):
        assert row.nearest is not None
        found = differences(row.trial, row.nearest.trial) or drawn_otherwise(row.trial, row.nearest.trial)
        kinds.setdefault(tuple(found), set()).add(row.match_key)
    count = len({row.match_key for row in comparison.rows})
    for number, (told, trials) in enumerate(sorted(kinds.items(), key=lambda kind: -len(kind[1]))):
        if number == MOST_KINDS:
            yield f"{len(kinds) - MOST_KINDS} more kinds of difference: --full."
            break
        more = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        whose = "In all trials" if len(trials) == count else f"In {len(trials)} of {trials_counted(count)}"
        yield f"{whose} the settings differ (baseline -> candidate): {', '.join(told[:MOST_TOLD])}{more}."
    alone = {row.match_key for row in comparison.rows if row.kind == MISSING and row.nearest is None and FINISH not in row.why}
    if alone:
        yield f"The candidate has nothing like {trials_counted(len(alone))} of the baseline."


def _with_nearest(comparison: Comparison) -> list[Compared]:
    return [row for row in comparison.rows if row.nearest is not None]


def commands(
    comparison: Comparison, places: tuple[Path, Path], command: Sequence[str], command_before: Sequence[str], undecided: bool
) -> Iterator[str]:
    """Yield commands that would give a verdict, by what is missing.

    Parameters
    ----------
    places
        of baseline and candidate, as the command line named them.
    command, command_before
        the words that measured the candidate, and the baseline where that is a campaign.
    undecided
        whether the gate has no verdict, or would have none.
    """
    if command and command[0] in NOT_MEASURED_AGAIN:
        return
    before, after = (plain_word(str(place), name) for place, name in zip(places, "AB", strict=True))
    if any(FINISH in row.why for row in comparison.rows):
        yield f"{ORCHESTRATOR} resume {after}  # finish the candidate, then compare again"
    yield from _of_settings(comparison, before, command, command_before)
    if not undecided:
        return
    reasons = {row.outcome.partition(": ")[2] for row in comparison.rows if row.kind == NO_VERDICT}
    words = words_again(command)
    if UNKNOWN in reasons:
        yield f"{measured_again(command, f'measurement.repeat={ENOUGH_REPEATS}')}  # both sides; {FEWEST_REPEATS} repeats are the fewest"
    if BLIND in reasons:
        yield f"{ORCHESTRATOR} compare {before} {after} --gate analysis.primary=p50  # a threshold at which quality feels speed"
        yield f"{ORCHESTRATOR} compare --run A B {words} --pairs {2 * ENOUGH_REPEATS} --gate  # more repeats, in pairs"
    if comparison.drift and comparison.min_effect is not None:
        yield f"{ORCHESTRATOR} compare --run A B {words} --gate  # in pairs; A and B: folders of code, or overrides"
        yield f"{ORCHESTRATOR} compare {before} {after} --gate --accept-drift  # if nothing has drifted in between"


def _of_settings(comparison: Comparison, before: str, command: Sequence[str], command_before: Sequence[str]) -> Iterator[str]:
    """Yield what says what other settings change, in pairs, and what measures the candidate with the settings of the baseline."""
    kinds: dict[tuple[Side, Side] | None, list[Compared]] = {}
    for row in _with_nearest(comparison):
        assert row.nearest is not None
        kinds.setdefault(sides_of(row.trial, row.nearest.trial, (*command, *command_before)), []).append(row)
    known = [(sides, rows) for sides, rows in kinds.items() if sides is not None] if command else []
    for sides, rows in sorted(known, key=lambda kind: -len(kind[1]))[:MOST_KINDS]:
        yield from _of_kind(sides, rows, comparison.after_trials, before, command)
    alone = [row for row in comparison.rows if row.kind == MISSING and row.nearest is None and FINISH not in row.why]
    if alone and command_before and command_before[0] not in NOT_MEASURED_AGAIN:
        again = measured_again(command_before, f"measurement.repeat={ENOUGH_REPEATS}")
        yield f"{again}  # the trials of the baseline, as it measured them"


def _of_kind(
    sides: tuple[Side, Side], rows: Sequence[Compared], trials: Sequence[Trial], before: str, command: Sequence[str]
) -> Iterator[str]:
    """Yield both commands for trials that differ in the same settings."""
    nearest = [row.nearest for row in rows if row.nearest is not None]
    set_here = {_key(word) for words in sides for word in words}
    narrowed = narrowing([one.trial for one in nearest], trials, [axis for axis in AXES if axis not in set_here])
    given_anew = {_key(word) for word in narrowed}
    common = [*(word for word in _typed(command, set_here) if _key(word) not in given_anew), *narrowed]
    a, b = (_in_one_word(words) for words in sides)
    if a is None or b is None:
        return
    if not any(key.startswith("task.") and key != "task.preload" for key in set_here):  # other samples are never compared
        yield f"{ORCHESTRATOR} compare --run {a} {b} {words_again(common)} --gate  # what these settings change, in pairs"
    again = measured_again([*common, *sides[0]], f"measurement.repeat={ENOUGH_REPEATS}")
    fewest = min(one.repeats_before for one in nearest)
    if fewest >= FEWEST_REPEATS:
        yield f"{again}  # the candidate with the settings of the baseline; then compare {before} with it"
    else:
        yield f"{again}  # for either side, in equal settings: the baseline has too few repeats ({fewest}; {FEWEST_REPEATS} are the fewest)"


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
    """Return words that leave of a campaign's trials those of the names that are wanted; none where no such words do.

    Examples
    --------
    >>> narrowing([], [], ["model"])
    []
    """
    left, words = list(trials), []
    for axis in axes:
        names = dict.fromkeys(getattr(trial, axis).name for trial in wanted)
        if {getattr(trial, axis).name for trial in left} - set(names):
            left = [trial for trial in left if getattr(trial, axis).name in names]
            words.append(f"{axis}={','.join(names)}")
    several = any("," in word for word in words)
    return [*(["-m"] if several else []), *words]


def _in_one_word(words: Side) -> str | None:
    """Return some words as one of a shell; None where one of a stranger could be read otherwise."""
    shown = [plain_word(word, "") for word in words]
    return shlex.quote(" ".join(shown)) if all(shown) else None
