"""What a campaign has found, as facts and in words.

`task` and `campaign` yield those of a task and of all together; ``templates/KIND.j2`` says them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from markupsafe import Markup, escape

from orchestrator.report.terminal import wrapped
from orchestrator.report.text import (
    markdown_text,
    milliseconds,
    per_cent,
    printable,
    quality,
    quality_within,
    within,
)


@dataclass(frozen=True)
class Finding:
    """A fact of a task, or of the campaign where ``subject`` is empty; ``values`` are plain."""

    kind: str
    subject: str
    values: Mapping[str, Any]
    flags: tuple[str, ...] = ()


Medium: TypeAlias = Literal["text", "markdown", "html"]
# How names of strangers are written so that nothing in them steers the medium.
SHOWN: dict[Medium, Callable[[str], str]] = {
    "text": printable,
    "markdown": markdown_text,
    "html": lambda text: escape(printable(text)),
}
CODE: dict[Medium, str] = {"markdown": "`{}`", "html": "<code>{}</code>"}
# Kinds that a terminal says on the line of another kind where that stands before.
JOINED = {"deadline_kept": "winner", "too_short": "caution", "unfinished": "caution"}


def say(finding: Finding, medium: Medium) -> str:
    """Return a finding in words, its label first."""
    begins, told = in_words(finding, medium)
    return f"{begins}: {told}" if begins else told


def in_words(finding: Finding, medium: Medium) -> tuple[str, str]:
    """Return the few words that a finding is listed under, which may be none, and what it says."""
    values = {**finding.values, "subject": finding.subject, "medium": medium}
    module: Any = _environment().get_template(f"{finding.kind}.j2").make_module(values)
    return str(module.label()).strip(), str(module.said()).strip()


def text_lines(found: Sequence[Finding], width: int) -> Iterator[str]:
    """Yield findings for a terminal, labels in a column; a command and a path are never broken."""
    lines: list[tuple[Finding, str, str]] = []
    for finding in found:
        begins, told = in_words(finding, "text")
        if lines and lines[-1][0].kind == JOINED.get(finding.kind):
            first, before, line = lines.pop()
            lines.append((first, before, f"{line}; {begins.lower()} {told}"))
        else:
            lines.append((finding, f"{begins}: " if begins else "", told))
    indent = max((len(begins) for _, begins, _ in lines), default=0)
    subjects = {of.subject for of, *_ in lines} - {""}
    subject = "" if len(subjects) > 1 else subjects.pop() if subjects else ""
    for of, begins, told in lines:
        if of.subject not in ("", subject):
            subject = of.subject
            yield printable(subject)
        whole = not {"command", "path"}.isdisjoint(of.values)
        for place, line in enumerate([told] if whole else wrapped(told, max(20, width - indent))):
            yield f"{'' if place else begins:<{indent}}{line}"


def coded(text: str, medium: Medium) -> Markup:
    """Return text of ours whose words in backticks are code."""
    parts = enumerate(text.split("`"))
    return Markup("").join(
        _code(part, medium, "`{}`") if place % 2 else _shown(part, medium) for place, part in parts
    )


def _code(text: str, medium: Medium, plain: str = "{}") -> Markup:
    shown = printable(text).replace("`", "'") if medium == "markdown" else SHOWN[medium](text)
    return Markup(CODE.get(medium, plain).format(shown))  # noqa: S704 - escaped for its medium


def _shown(value: object, medium: Medium) -> Markup:
    return value if isinstance(value, Markup) else Markup(SHOWN[medium](str(value)))  # noqa: S704 - escaped for its medium


@cache
def _environment() -> Environment:
    made = Environment(  # noqa: S701 - every value is escaped for its medium by finalize
        loader=FileSystemLoader([Path(folder) / "templates" for folder in __path__]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=pass_context(lambda context, value: _shown(value, context["medium"])),
    )
    made.filters |= {
        "code": pass_context(lambda context, text: _code(text, context["medium"])),
        "coded": pass_context(lambda context, text: coded(text, context["medium"])),
        "interval": lambda one: within(one["low"], one["high"]),
        "kept_within": lambda one: quality_within(one["low"], one["high"], one["ideal"]),
        "ms": milliseconds,
        "per_cent": per_cent,
        "quality": quality,
    }
    return made
