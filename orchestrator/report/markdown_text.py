"""Text from elsewhere in Markdown: whatever a name says, it is shown as it is and becomes no link, picture, heading, code or HTML."""

from __future__ import annotations

import re

from orchestrator.report.printable import printable

SPECIAL = re.compile(
    r"\\|[`|~$]"  # an escape, code, the end of a cell, struck-out text, mathematics
    r"|(?<!\s)\*|\*(?=\S)"  # emphasis; an asterisk on its own is none
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; between letters it is none
    r"|#(?=#*\s*$)"  # what would end a heading
    r"|(?<=\w):(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):",  # addresses, which become links of themselves
    re.IGNORECASE,
)
BRACKETS = re.compile(r"[\[\]]")
INTERVAL = re.compile(r"(?<![!\]\\])\[[-+0-9., %]*\](?![(\[:{])")
"""Brackets around figures alone, with nothing beside them that would make them a link."""
BEGINS = re.compile(r"[-+#=>*:]|\d{1,9}[.)](?=\s|$)")
SOMEBODY = re.compile(r"@(?=\S)")


def markdown_text(text: str, at_start: bool = False) -> str:
    """Return Markdown that shows a text, on one line.

    Parameters
    ----------
    text
        whatever a campaign holds.
    at_start
        it begins a line, where a hash, a dash or a number would begin a heading or a list.
    """
    plain = printable(" ".join(text.split()) if "\n" in text or "\r" in text or "\t" in text else text)
    if at_start:
        plain = plain.lstrip()
    shown = SPECIAL.sub(r"\\\g<0>", plain.replace("&", "&amp;").replace("<", "&lt;"))
    shown = _bracketed(shown)
    # Escaped or not, an address of mail and a mention are found in the finished text: a comment in between keeps them apart.
    shown = SOMEBODY.sub("@<!-- -->", shown)
    return BEGINS.sub(_escape_last, shown, count=1) if at_start and BEGINS.match(shown) else shown


def _bracketed(text: str) -> str:
    kept = [match.span() for match in INTERVAL.finditer(text)]
    ours = {place for start, end in kept for place in (start, end - 1)}
    return BRACKETS.sub(lambda match: match[0] if match.start() in ours else f"\\{match[0]}", text)


def _escape_last(match: re.Match[str]) -> str:
    return f"{match[0][:-1]}\\{match[0][-1]}"
