"""Text without a secret in it, in whatever spelling: a server's token, or the value of an environment variable."""

import base64
import hashlib
import html.entities
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

SHORTEST_HIDDEN = 6
"""A shorter token would be found in any text."""
SHORTEST_PIECE = 8
"""So many of its letters one after another are taken for a part of it."""
IN_LOWER_CASE = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
ESCAPES = ("\\", "%", "&")
"""One of them is in every text that spells a letter in another way."""


@dataclass(frozen=True)
class Secret:
    """A token, which neither representation nor message shows.

    instead
        what stands in its place.
    in_pieces
        whether ``SHORTEST_PIECE`` of its letters one after another are taken for it. Not of what may be a path or URL: those share pieces
        with much else.
    """

    token: str = field(repr=False)
    instead: str = "***"
    in_pieces: bool = True

    def hide(self, text: str) -> str:
        """Return a text without the token, in whatever spelling, and without pieces of it, which a text that was cut may hold."""
        if len(self.token) < SHORTEST_HIDDEN:
            return text
        if any(mark in text for mark in ESCAPES):
            text = self._escaped.sub(lambda found: self.instead, text)
        for form in self._encoded:
            if form in text:
                text = text.replace(form, self.instead)
        if self.in_pieces:
            return without_pieces(text, self._pieces, self.instead)
        for form in self._whole:
            text = without_form(text, form, self.instead)
        return text

    def hide_bytes(self, body: bytes) -> bytes:
        """Return an answer without the token as it is, which is quick: other spellings are taken out of what is kept of the answer."""
        own = as_bytes(self.token)
        return body.replace(own, self.instead.encode()) if len(own) >= SHORTEST_HIDDEN and own in body else body

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return re.compile("".join(map(spellings, self.token)))

    @cached_property
    def _encoded(self) -> tuple[str, ...]:
        return in_base64(self.token)

    @cached_property
    def _whole(self) -> tuple[str, ...]:
        return tuple(form.translate(IN_LOWER_CASE) for form in as_it_is_or_changed(self.token))

    @cached_property
    def _pieces(self) -> frozenset[str]:
        return pieces_of(as_it_is_or_changed(self.token), min(SHORTEST_PIECE, len(self.token)))


def pieces_of(forms: Iterable[str], size: int) -> frozenset[str]:
    """Return all that stands in some texts of ``size`` letters one after another, in lower case."""
    return frozenset(low[at : at + size] for low in (form.translate(IN_LOWER_CASE) for form in forms) for at in range(len(low) - size + 1))


def without_pieces(text: str, pieces: frozenset[str], instead: str) -> str:
    """Return a text without pieces, all of one size, in whatever case; those that overlap or touch are one."""
    low, size = text.translate(IN_LOWER_CASE), len(next(iter(pieces)))
    kept: list[str] = []
    end = 0
    for at in range(len(low) - size + 1):
        if low[at : at + size] in pieces:
            if at > end or not kept:
                kept += (text[end:at], instead)
            end = at + size
    return "".join([*kept, text[end:]])


def without_form(text: str, form: str, instead: str) -> str:
    """Return a text without a form, given in lower case, in whatever case."""
    low, kept, end = text.translate(IN_LOWER_CASE), [], 0
    while (at := low.find(form, end)) >= 0:
        kept += [text[end:at], instead]
        end = at + len(form)
    return "".join([*kept, text[end:]])


def as_it_is_or_changed(token: str) -> tuple[str, ...]:
    """Return a token itself, reversed, and in hexadecimal digits, of it and of its digests by MD5, SHA-1 and SHA-256."""
    own = as_bytes(token)
    digests = [hashlib.new(name, own, usedforsecurity=False).hexdigest() for name in ("md5", "sha1", "sha256")]
    return (token, token[::-1], own.hex(), *digests)


def spellings(letter: str) -> str:
    r"""Return an expression for a letter as JSON, HTML and URLs spell it: ``+`` is also ``\u002B``, ``&#43;``, ``&#x2B;`` and ``%2B``."""
    digits, of_json = in_either_case(f"{ord(letter):02x}"), in_either_case(f"{ord(letter):04x}")
    of_urls = "".join(rf"%(?:25){{0,4}}{in_either_case(f'{byte:02x}')}" for byte in letter.encode("utf-8", "surrogateescape"))
    names = [] if letter.isalnum() else [name for name, found in html.entities.html5.items() if found == letter and name.endswith(";")]
    html_ways = "|".join([f"#0{{0,6}}{ord(letter)};", f"#[xX]0{{0,6}}{digits};", *map(re.escape, names)])
    return rf"(?:\\{{0,8}}(?:{re.escape(letter)}|u{of_json}|x{digits})|{of_urls}|&(?:{html_ways}))"


def in_either_case(digits: str) -> str:
    """Return an expression for hexadecimal digits."""
    return "".join(f"[{digit.upper()}{digit}]" if digit.isalpha() else digit for digit in digits)


def as_bytes(token: str) -> bytes:
    """Return a token as it is sent, and any other text as the system keeps it."""
    return token.encode("latin-1") if token.isascii() else token.encode("utf-8", "surrogateescape")


def in_base64(token: str) -> tuple[str, ...]:
    """Return what a token is within any text in base64: three forms, by where in it the token stands, in both alphabets."""
    forms = [
        encode(b" " * before + as_bytes(token)[: (len(as_bytes(token)) + before) // 3 * 3 - before]).decode()[mixed:]
        for before, mixed in ((0, 0), (1, 2), (2, 3))
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
    ]
    return tuple(dict.fromkeys(form for form in forms if len(form) >= SHORTEST_HIDDEN))
