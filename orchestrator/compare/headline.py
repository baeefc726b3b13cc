"""What a comparison comes to, in one line, and the command that would give a verdict where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from orchestrator.compare.campaigns import ALARM, UNDECIDED, Comparison
from orchestrator.compare.comparison_tables import about_one_campaign, verdict_sentence
from orchestrator.compare.remedies import commands, other_settings
from orchestrator.compare.rows import MISSING

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
