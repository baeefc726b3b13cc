"""What a comparison comes to, in one line, and the command that would give a verdict where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from orchestrator.compare.campaigns import ALARM, UNDECIDED, Comparison
from orchestrator.compare.comparison_tables import BLIND, SAME_CAMPAIGN, UNKNOWN, gate_sentence, outcomes_text
from orchestrator.compare.rows import NO_VERDICT
from orchestrator.report.pasted import ORCHESTRATOR, measured_again, plain_word, words_again
from orchestrator.stats.replication import FEWEST_REPEATS

Result: TypeAlias = Literal["pass", "fail", "no verdict"]
ENOUGH_REPEATS = 5
"""Repeats that are asked for where the fewest that give a verdict would find little."""

SEARCH = "capacity"
"""The verb that searches."""


@dataclass(frozen=True)
class Headline:
    """The first line of a page.

    result
        what the gate says, or would say.
    sentence
        the same in words.
    commands
        each of which would give a verdict, where there is none.
    """

    result: Result
    sentence: str
    commands: tuple[str, ...] = ()


def headline(
    comparison: Comparison,
    places: tuple[Path, Path] = (Path("A"), Path("B")),
    command: Sequence[str] = (),
    allow_no_verdict: bool = False,
    accept_drift: bool = False,
) -> Headline:
    """Return what a comparison comes to.

    Parameters
    ----------
    places
        of baseline and candidate, as the command line named them.
    command
        the words that measured the candidate.
    allow_no_verdict, accept_drift
        as the gate was told; without a gate drift is named and decides nothing.
    """
    gated = comparison.min_effect is not None
    code = comparison.exit_code(allow_no_verdict, accept_drift or not gated)
    result: Result = "fail" if code == ALARM else "no verdict" if code == UNDECIDED else "pass"
    sentence = _sentence(comparison, result, gate_sentence(comparison, allow_no_verdict, accept_drift or not gated))
    if not gated and comparison.drift and result != "no verdict":
        sentence += " The baseline is one campaign of another time, so that drift of the machine looks like a change."
    if comparison.with_itself:
        sentence += f" {SAME_CAMPAIGN}"
    commands = tuple(_commands(comparison, places, command)) if result == "no verdict" else ()
    return Headline(result, sentence, commands)


def _sentence(comparison: Comparison, result: Result, gate: str) -> str:
    """Return the gate's sentence with its result as the first word, and with all outcomes where it is silent on them."""
    if result == "no verdict":
        return f"N{gate.removeprefix('n')}"
    if result == "pass" and "although" in gate:
        return f"Pass{gate.removeprefix('passed')}"
    return f"{result.capitalize()}: {outcomes_text(comparison)}."


def _commands(comparison: Comparison, places: tuple[Path, Path], command: Sequence[str]) -> Iterator[str]:
    """Yield commands that would give a verdict, by what is missing; none for searches of capacity, whose rates are no trials to repeat."""
    if SEARCH in command:
        return
    before, after = (plain_word(str(place), name) for place, name in zip(places, "AB", strict=True))
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
