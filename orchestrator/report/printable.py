"""Text from elsewhere on a terminal: names, reasons and exceptions can say what they like and steer nothing."""

from __future__ import annotations

INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for start, end in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for code in range(start, end + 1)
}
"""What Unicode calls letters and marks and nobody sees, so that two names would look like one."""


def printable(text: str) -> str:
    r"""Return text on one line in which nothing steers a terminal, turns the direction of writing or hides.

    Control characters (C0, C1), marks of direction, characters without width, separators of lines and halves of surrogate pairs are
    written as Python escapes them, such as ``\x1b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in INVISIBLE:
        return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
    return character if character.isprintable() else repr(character)[1:-1]
