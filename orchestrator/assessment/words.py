"""An assessment in words: lines for a terminal, and what every form of it says."""

from collections.abc import Iterator
from typing import get_args

from rich.text import Text

from orchestrator.assessment.verdicts import Assessed, Assessment, Finding, many
from orchestrator.report.terminal import wrapped
from orchestrator.report.text import printable
from orchestrator.stats.requirements import Verdict

SHOWN = 3
"""Systems of one requirement that are shown, unless all are asked for."""
WIDE = 80
STYLES = {"met": "green", "not met": "red", "not shown": "yellow"}
VERDICT_WIDTH = len("not shown")


def system_words(finding: Finding) -> str:
    """Return what a reader calls the system of a finding."""
    who = finding.who
    if not who:
        return "no system"
    words = [who["model"], who["task"], who["runtime"], who["system"]]
    words += [f"batch {who['batch']}"] if who["batch"] != "1" else []
    return ", ".join([*words, *([who["load"]] if who["load"] != "closed" else [])])


def basis_words(finding: Finding) -> str:
    """Return what a finding rests on."""
    basis = finding.basis
    counted = ((basis.rounds, "round"), (basis.visits, "visit"), (basis.processes, "process"), (basis.sessions, "day"))
    return ", ".join(f"{number} {name if number == 1 else many(name)}" for number, name in counted if number)


def shown_findings(assessed: Assessed, full: bool) -> list[Finding]:
    """Return the findings that are shown: those that decide the verdict, at most three, or all."""
    deciding = [one for one in assessed.findings if one.verdict == assessed.verdict]
    return list(assessed.findings) if full else deciding[:SHOWN]


def rest_words(assessed: Assessed, shown: int) -> str:
    """Return how many systems are not shown and what they are; empty where all are."""
    rest = len(assessed.findings) - shown
    if not rest:
        return ""
    counts = [(verdict, sum(one.verdict == verdict for one in assessed.findings)) for verdict in STYLES]
    return f"{len(assessed.findings)} systems: {', '.join(f'{count} {verdict}' for verdict, count in counts if count)}; --full shows all"


def summary(assessment: Assessment) -> str:
    """Return the sentence that counts verdicts and says how sure they are, all together."""
    counts = ", ".join(f"{assessment.count(verdict)} {verdict}" for verdict in get_args(Verdict))
    asked = assessment.requirements
    many = len(asked.requirements)
    share = f"1/{many} of {1 - asked.confidence:.3g} for each of {many}" if many > 1 else f"{1 - asked.confidence:.3g} for the one"
    return (
        f"{counts}. No met is false, of all together, at a confidence of {asked.confidence:.6g} (Bonferroni: an error of {share}); "
        "a met speaks of rounds to come like those measured, and of nothing else."
    )


def requirement_words(assessed: Assessed) -> str:
    """Return where a requirement comes from, and the error that its verdict may risk."""
    return f"source: {assessed.requirement.source}; confidence {1 - assessed.allowed_error:.6g}"


def verdict_lines(assessment: Assessment) -> Iterator[str]:
    """Yield one line per requirement: its verdict, id and text."""
    for assessed in assessment.assessed:
        yield printable(f"{assessed.verdict:<{VERDICT_WIDTH}}  {assessed.requirement.id}  {assessed.requirement.text}")


def lines(assessment: Assessment, full: bool, width: int | None) -> Iterator[Text]:
    """Yield the lines for a terminal of this width, 80 where it has none."""
    room = WIDE if width is None else width
    for assessed in assessment.assessed:
        requirement = assessed.requirement
        yield from _hanging(assessed.verdict, f"{requirement.id}  {requirement.text}", room, bold=True)
        yield from _indented(requirement_words(assessed), room)
        shown = shown_findings(assessed, full)
        for finding in shown:
            yield from _hanging(finding.verdict if full else "", f"{system_words(finding)}: {finding.said}", room)
            if basis := basis_words(finding):
                yield from _indented(f"rests on {basis}", room)
            if finding.flags and "flagged: " not in finding.missing:
                yield from _indented(f"flagged {', '.join(finding.flags)}", room)
            if finding.missing:
                yield from _indented(f"missing: {finding.missing}", room)
        if rest := rest_words(assessed, len(shown)):
            yield from _indented(rest, room)
        yield Text()
    for said in (summary(assessment), *assessment.remarks):
        for line in wrapped(printable(said), room):
            yield Text(line)


def _hanging(verdict: str, text: str, width: int, bold: bool = False) -> Iterator[Text]:
    """Yield a verdict and lines of text beside it."""
    for number, line in enumerate(_wrapped(text, width)):
        first = Text(f"{verdict:<{VERDICT_WIDTH}}  " if number == 0 else " " * (VERDICT_WIDTH + 2), style=STYLES.get(verdict, ""))
        yield first + Text(line, style="bold" if bold else "")


def _indented(text: str, width: int) -> Iterator[Text]:
    for line in _wrapped(text, width):
        yield Text(f"{' ' * (VERDICT_WIDTH + 2)}{line}")


def _wrapped(text: str, width: int) -> list[str]:
    return wrapped(printable(text), max(width - VERDICT_WIDTH - 2, 20))
