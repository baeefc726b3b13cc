"""What a comparison comes to, in one line, and the commands that would give a verdict where there is none."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from orchestrator.compare.campaigns import ALARM, UNDECIDED, Comparison
from orchestrator.compare.comparison_tables import BLIND, UNKNOWN, about_one_campaign, verdict_sentence
from orchestrator.compare.differences import differences, drawn_otherwise, sides_of
from orchestrator.compare.rows import FINISH, MISSING, NO_VERDICT, Compared
from orchestrator.configuration.config import Trial
from orchestrator.report.pasted import ORCHESTRATOR, plain_word, words_again
from orchestrator.report.text import trials_counted

# Pairs that are asked for where fewer were too blind.
MORE_PAIRS = 10
# Verbs whose trials no command measures again: rates of a search, and what another program has measured.
NOT_MEASURED_AGAIN = ("capacity", "import")
AXES = ("model", "task", "system", "runtime")
MOST_TOLD, MOST_KINDS = 8, 2
# Measures all processes in one, so that no process is a fresh one.
INLINE = "cluster=inline"

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
        by = f" --by {told[0].partition(' ')[0]} pairs them." if len(told) == 1 else ""
        yield f"{whose} the settings differ (baseline -> candidate): {', '.join(told[:MOST_TOLD])}{more}.{by}"
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
    yield from _of_settings(comparison, command, command_before)
    if not undecided:
        return
    reasons = {row.outcome.partition(": ")[2] for row in comparison.rows if row.kind == NO_VERDICT}
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


def _of_settings(comparison: Comparison, command: Sequence[str], command_before: Sequence[str]) -> Iterator[str]:
    """Yield what says what other settings change, in pairs."""
    kinds: dict[tuple[Side, Side] | None, list[Trial]] = {}
    for row in _with_nearest(comparison):
        assert row.nearest is not None
        sides = sides_of(row.trial, row.nearest.trial, (*command, *command_before))
        kinds.setdefault(sides, []).append(row.nearest.trial)
    known = [(sides, trials) for sides, trials in kinds.items() if sides is not None] if command else []
    for sides, trials in sorted(known, key=lambda kind: -len(kind[1]))[:MOST_KINDS]:
        yield from _of_kind(sides, trials, comparison.after_trials, command)


def _of_kind(sides: tuple[Side, Side], nearest: Sequence[Trial], trials: Sequence[Trial], command: Sequence[str]) -> Iterator[str]:
    """Yield the command for trials that differ in the same settings; none where samples differ, which are never compared."""
    set_here = {_key(word) for words in sides for word in words}
    narrowed = narrowing(nearest, trials, [axis for axis in AXES if axis not in set_here])
    given_anew = {_key(word) for word in narrowed}
    common = [*(word for word in _typed(command, set_here) if _key(word) not in given_anew), *narrowed]
    a, b = (_in_one_word(words) for words in sides)
    if a and b and not any(key.startswith("task.") and key != "task.preload" for key in set_here):
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


Result: TypeAlias = Literal["pass", "fail", "no verdict"]


@dataclass(frozen=True)
class Headline:
    """The first line of a page and on a terminal.

    result
        what the gate says, or would say; without a gate there is none where nothing could be compared.
    sentence
        the same in words.
    commands
        each of which would give a verdict, where one is lacking.
    """

    result: Result
    sentence: str
    commands: tuple[str, ...] = ()


def headline(
    comparison: Comparison,
    places: tuple[Path, Path] = (Path("A"), Path("B")),
    command: Sequence[str] = (),
    allow_no_verdict: bool = False,
    command_before: Sequence[str] = (),
) -> Headline:
    """Return what a comparison comes to.

    Parameters
    ----------
    places
        of baseline and candidate, as the command line named them.
    command, command_before
        the words that measured the candidate, and the baseline where that is a campaign.
    allow_no_verdict
        as the gate was told.
    """
    code = comparison.exit_code(allow_no_verdict)
    result: Result = "fail" if code == ALARM else "no verdict" if code == UNDECIDED else "pass"
    if comparison.min_effect is None and all(row.kind == MISSING for row in comparison.rows):
        result, sentence = "no verdict", "No verdict: there is nothing to compare."
    else:
        sentence = verdict_sentence(comparison, allow_no_verdict)
    sentence = " ".join([sentence, *other_settings(comparison)])
    if told := about_one_campaign(comparison):
        sentence += f" {told}"
    return Headline(result, sentence, tuple(commands(comparison, places, command, command_before, result == "no verdict")))
