"""Numbers as a reader wants them."""

import math
import re


def milliseconds(ns: float | None) -> str:
    """Write a time in ms with three significant digits; a dash where there is none."""
    if ns is None:
        return "-"
    ms = ns / 1e6
    return f"{ms:.{0 if ms >= 100 else 1 if ms >= 10 else 2}f} ms" if ms >= 1 else f"{ms:.3g} ms"


def seconds(s: float) -> str:
    """Write a duration as a person would say it."""
    if s < 60:
        return f"{s:.1f} s" if s < 10 else f"{s:.0f} s"
    minutes, rest = divmod(round(s), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def memory(size: float | None) -> str:
    """Write an amount of memory in MiB, from 10 GiB on in GiB; a dash where there is none."""
    if size is None:
        return "-"
    return f"{size / 2**20:.0f} MiB" if size < 10 * 2**30 else f"{size / 2**30:.1f} GiB"


def quality(value: float) -> str:
    """Write a quality with three decimals: the nearest, of two equally near the even one.

    What is below 1, but for the rounding of sums, never reads as 1.000, which would claim that
    nothing was late or wrong: it has as many decimals as that takes.
    """
    decimals = 3
    while value < 1 - 1e-12 and float(f"{value:.{decimals}f}") >= 1:
        decimals += 1
    return f"{value:.{decimals}f}"


def quality_within(low: float, high: float, ideal: float | None = None) -> str:
    """Write an interval of quality with three decimals, rounded outward, so that it holds.

    Rounding carries no limit past an ideal that it does not pass, as that is written.
    """
    lower = f"{int(low * 1000 + 1e-9) / 1000:.3f}"
    upper = f"{math.ceil(high * 1000 - 1e-9) / 1000:.3f}"
    if ideal is not None:
        written, below = quality(ideal), high <= ideal + 1e-6
        if below and float(upper) > float(written):
            upper = written
        if not below and low >= ideal - 1e-6 and float(lower) < float(written):
            lower = written
    return f"[{lower}, {upper}]"


def within(low: float, high: float, sign: str = "") -> str:
    """Write the interval of a difference, rounded outward; 0.000 has no sign.

    With ``sign`` "+" ends above 0 have one.
    """
    ends = math.floor(low * 1000 + 1e-9) / 1000, math.ceil(high * 1000 - 1e-9) / 1000
    return f"[{', '.join(f'{end:{sign}.3f}' if end else '0.000' for end in ends)}]"


def per_cent(share: float | None) -> str:
    """Write a share in per cent with one decimal; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def signed(value: float) -> str:
    """Write a difference of quality with its sign and three decimals; 0.000 has no sign.

    What lies halfway but for the rounding of sums is written as the decimal number that it is.
    """
    text = f"{round(value, 9):+.3f}"
    return text if float(text) else "0.000"


def delay(ns: float) -> str:
    """Write a time that may be far below a millisecond."""
    return milliseconds(ns) if ns >= 1e6 else f"{ns / 1000:.3g} µs"


def p_value(p: float) -> str:
    """Write a p-value with three decimals; less than 0.001 as such."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def trials_counted(count: int) -> str:
    """Write a number of trials."""
    return f"{count} trial" if count == 1 else f"{count} trials"


# Letters and marks of Unicode that are invisible, so that two names would look like one.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code)
    for start, end in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
    for code in range(start, end + 1)
}


def printable(text: str) -> str:
    r"""Return text on one line in which nothing steers a terminal, turns its direction or hides.

    Control characters (C0, C1), marks of direction, characters without width, separators of lines
    and halves of surrogate pairs are written as Python escapes them, such as ``\x1b``.
    """
    shown = (
        one if one.isprintable() and one not in INVISIBLE else one.encode("unicode_escape").decode()
        for one in text
    )
    return "".join(shown)


def with_blanks(name: str) -> str:
    r"""Return a name whose line ends, and leading, trailing and repeated blanks are seen.

    Else pages show two names as one.

    Examples
    --------
    >>> print(with_blanks(" a b  c "))
    \x20a b\x20\x20c\x20
    """
    text = name.replace("\n", "\\n")
    return re.sub(r"\A +| +\Z| {2,}", lambda found: r"\x20" * len(found[0]), text)


SPECIAL = re.compile(
    r"\\|[`|~$]"  # an escape, code, the end of a cell, struck-out text, mathematics
    r"|(?<!\s)\*|\*(?=\S)"  # emphasis; an asterisk on its own is none
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; between letters it is none
    r"|#(?=#*\s*$)"  # what would end a heading
    # addresses, which become links of themselves
    r"|(?<=\w):(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):",
    re.IGNORECASE,
)
# Brackets around figures alone, with nothing beside them that would make them a link.
INTERVAL = re.compile(r"(?<![!\]\\])\[[-+0-9., %]*\](?![(\[:{])")
BEGINS = re.compile(r"\A(?:[-+#=>*:]|\d{1,9}[.)](?=\s|$))")


def markdown_text(text: str, at_start: bool = False) -> str:
    """Return Markdown that shows a text of any campaign, on one line.

    ``at_start`` of a line a hash, a dash or a number would begin a heading or a list.
    """
    plain = printable(text).lstrip() if at_start else printable(text)
    shown = SPECIAL.sub(r"\\\g<0>", plain.replace("&", "&amp;").replace("<", "&lt;"))
    ours = {
        place for found in INTERVAL.finditer(shown) for place in (found.start(), found.end() - 1)
    }

    def escaped(bracket: re.Match[str]) -> str:
        return bracket[0] if bracket.start() in ours else f"\\{bracket[0]}"

    # Escaped or not, an address of mail and a mention are found in the finished text: a comment in
    # between keeps them apart.
    shown = re.sub(r"@(?=\S)", "@<!-- -->", re.sub(r"[\[\]]", escaped, shown))
    if not at_start:
        return shown
    return BEGINS.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", shown)
