"""Which of some choices an answer in words names. Pure; where an answer leaves doubt, it names none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

BEFORE = r"[\s*_`\"'\u201c\u2018(\[{]*"
AFTER = r"[\s*_`\"'\u201d\u2019)\]}]*"
"""What may stand around a choice: blanks, quotes, brackets and Markdown."""
SAYS = (
    r"\b(?i:answer|option|choice|letter|label)\s*(?:(?i:is|would be|should be|must be)\b\s*:?|=|:)"
    r"(?:\s+(?i:the|option|choice|letter|answer))*"
)
AND = r"(?:\s*(?:,|/|&|\b(?i:or|and)\b))+(?:\s+(?i:the|option|choice|letter|answer))*"
NO_ARTICLE = r"(?!A\s+(?!(?:and|or)\b)[a-z])"
"""In front of a word in lower case, *A* is an article."""
DENIES = re.compile(
    r"\b(?:not|no|never|neither|nor|none|cannot|wrong|incorrect|false|except|unlike|instead|rather)\b|n['\u2019]t\b", re.IGNORECASE
)
"""Words beside which a choice may be named for what it is not."""


class Choices:
    """Choices that answers in words are searched for.

    An answer names a choice where it consists of it (``B``, ``(b).``), begins a line with it and a mark (``B) Paris``) or says so (``The
    answer is B``). Else it names the only one that it holds as a word of its own, if no word in it denies anything. Where several are named
    in one of these ways, as in ``B or C``, none is. Letters count in capitals, unless they are all there is; other choices in any case.

    Examples
    --------
    >>> letters = Choices(["A", "B", "C", "D"])
    >>> letters.named("A good guess: the answer is (B)."), letters.named("B or C"), letters.named("It is not B.")
    ('B', None, None)
    """

    def __init__(self, choices: Sequence[str]) -> None:
        self._exact = frozenset(choices)
        folded = [choice.casefold() for choice in choices]
        self._folded = dict(zip(folded, choices, strict=True)) if len(set(folded)) == len(folded) else {}
        # The longest first, so that none is found in the place of one that begins with it.
        each = "|".join(map(self._pattern, sorted(choices, key=lambda choice: (-len(choice), choice))))
        one = rf"(?<!\w)({each})(?!\w|['\u2019]\w)"
        self._begins = re.compile(rf"^{BEFORE}{one}[*_`\"'\u201d\u2019]*(?:[).:\]]|$)", re.MULTILINE)
        self._says = re.compile(rf"{SAYS}{BEFORE}{NO_ARTICLE}{one}")
        self._also = re.compile(rf"{AFTER}{AND}{BEFORE}{NO_ARTICLE}{one}")
        self._word = re.compile(NO_ARTICLE + one)

    def named(self, text: str) -> str | None:
        """Return the choice that an answer names, None where it names none, or several."""
        if text in self._exact:
            return text
        if (whole := self._folded.get(text.strip(" \t\r\n*_`\"'\u201c\u201d\u2018\u2019()[]{}.!:;,").casefold())) is not None:
            return whole
        found = set(self._said(text))
        if not found and not DENIES.search(text):
            found = {self._choice(match) for match in self._word.finditer(text)}
        return found.pop() if len(found) == 1 else None

    def _said(self, text: str) -> Iterator[str]:
        """Yield the choices that begin a line or are called the answer, and those that are added to them by *or* and the like."""
        for match in (*self._begins.finditer(text), *self._says.finditer(text)):
            sentence = re.split(r"[.!?;\n]", text[: match.start()])[-1]
            if not DENIES.search(sentence):
                yield self._choice(match)
                end = match.end(1)
                while (more := self._also.match(text, end)) is not None:
                    yield self._choice(more)
                    end = more.end(1)

    def _pattern(self, choice: str) -> str:
        loose = self._folded and len(choice) > 1
        return f"(?i:{re.escape(choice)})" if loose else re.escape(choice)

    def _choice(self, match: re.Match[str]) -> str:
        word = match[1]
        return word if word in self._exact else self._folded[word.casefold()]
