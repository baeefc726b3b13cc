"""Text of figures, and of strangers: rounded as it is meant, steering no terminal, and held by Markdown as it is."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import TextIOWrapper
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from orchestrator.__main__ import main
from orchestrator.commands.progress import Progress
from orchestrator.report.readers import while_read
from orchestrator.report.table import Table, to_markdown
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import markdown_text, milliseconds, printable, quality, quality_within, seconds, with_blanks


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        *((milliseconds, ns, shown) for ns, shown in ((None, "-"), (481, "0.000481 ms"), (1_234_000, "1.23 ms"), (123_400_000, "123 ms"))),
        *((seconds, s, shown) for s, shown in ((4.26, "4.3 s"), (59, "59 s"), (60, "1 min 00 s"), (3_599.6, "1 h 00 min"))),
        *((quality, value, shown) for value, shown in ((0.9, "0.900"), (0.8999, "0.900"), (0.0, "0.000"), (1.0, "1.000"))),
        *((quality, value, shown) for value, shown in ((1 / 16, "0.062"), (3 / 16, "0.188"))),  # halfway: to the even one
        *((quality, value, shown) for value, shown in ((0.9999, "0.9999"), (0.9999999, "0.9999999"), (1 - 1e-15, "1.000"))),
    ],
)
def test_times_and_quality_are_rounded_and_nothing_but_one_reads_as_one(form: Callable[[Any], str], value: Any, shown: str) -> None:
    assert form(value) == shown


@given(st.fractions(0, 1, max_denominator=10_000))
def test_a_figure_is_the_nearest_and_lies_within_its_interval(exact: Fraction) -> None:
    value = float(exact)
    assert abs(Fraction(quality(value)) - exact) <= Fraction(5, 10_000) + Fraction(1, 10**12)
    assert (quality(value) == "1.000") == (exact == 1)
    low, high = quality_within(value, value).strip("[]").split(", ")
    assert float(low) <= float(quality(value)) <= float(high)
    assert float(low) <= value + 1e-12


@pytest.mark.parametrize(
    ("low", "high", "ideal", "shown"),
    [
        (0.639, 0.6522, 0.6522, "[0.639, 0.652]"),
        (0.639, 0.65215, 0.6522, "[0.639, 0.652]"),
        (0.639, 0.6514, 0.6522, "[0.639, 0.652]"),
        (0.9, 0.99995, 0.99995, "[0.900, 0.99995]"),
        (0.1, 0.6532, 0.6522, "[0.100, 0.654]"),  # of a metric that is no mean: the limit itself lies above
        (0.6528, 0.7, 0.6528, "[0.653, 0.700]"),  # of a metric that late answers add to
        (0.6528, 0.6528, 0.6528, "[0.652, 0.653]"),
        (0.639, 0.6522, None, "[0.639, 0.653]"),
    ],
)
def test_rounding_carries_no_limit_past_the_ideal(low: float, high: float, ideal: float | None, shown: str) -> None:
    assert quality_within(low, high, ideal) == shown


STEERING = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
]
HIDDEN = [*"\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u3164\ufe0f\u2800\u180e", "\U000e0100", "\U000e0041"]
BREAKING = [*"\u2028\u2029\x85", "\ud800", "\udfff"]


@pytest.mark.parametrize("character", [*STEERING, *HIDDEN, *BREAKING], ids=ascii)
def test_what_steers_hides_or_breaks_is_written_as_an_escape(character: str) -> None:
    shown = printable(f"a{character}b")
    assert shown.isprintable()
    assert shown.isascii()
    assert shown.startswith("a\\")
    assert shown.endswith("b")
    assert shown.encode().decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == f"a{character}b"


def test_neither_tables_nor_lines_nor_progress_nor_errors_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    poison = "".join([*STEERING, *HIDDEN, *BREAKING])
    Terminal().table(Table(f"t{poison}", [f"c{poison}"], [[f"r{poison}"]], f"n{poison}"))
    Terminal().line(f"l{poison}")
    with Progress(1, sys.stderr) as progress:
        progress.say(f"p{poison}")
    assert main(["status", f"nowhere{poison.replace(chr(0), '')}"]) == 2
    for text in capsys.readouterr():
        assert all(line.isprintable() for line in text.split("\n"))
        assert "\\u202e" in text


PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
APART = "<!-- -->"
ADDRESS = re.compile(r"(?<!\\)(?:(?:https?|ftp)://|\bwww\.)", re.IGNORECASE)
"""What GitHub's Markdown makes a link of besides, where no backslash stands before the colon or dot."""
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w|(?<!\w)@\w")
PIECES = [
    "[a](http://x.y)", "![i](https://x.y/i.png)", "<img src=x onerror=alert(1)>", "<https://x.y>", "https://x.y", "www.x.y", "me@x.y",
    "@somebody", "[ref]", "[ref]: http://x.y", "# head", "- item", "1. item", "1) x", "> quote", "| cell |", "---", "***", "===", "`code`",
    "```", "~~~", "~~out~~", "*em*", "**strong**", "_em_", "__strong__", "\\", "\\|", "\\[", "&amp;", "&#64;", "&lt;b&gt;", "<b>", "</td>",
    "<!--", "-->", "[0.1, 0.2]", "[3](http://x.y)", "[^1]", "[ ]", "a_b", "0.9 *", "*", "_", ":", "$x$", "\n", "\n\n", "\r", "    ", "\t", "é", "x",
    "javascript:alert(1)", "{#id}", "HTTP://X", "::",
]  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text(st.sampled_from("[]()!<>*_`~#-+.:/@|\\&; \nwa1"), max_size=30)
)


def shown(tokens: list[Token]) -> str:
    """Return the text of inline tokens. Fails where they hold anything but text."""
    text = []
    for token in tokens:
        if token.type == "html_inline":
            assert token.content == APART
            continue
        assert token.type == "text", token
        assert not MAIL.search(token.content)
        text.append(token.content)
    return "".join(text)


def plain(text: str) -> str:
    return printable(text).strip()


def cell(text: str) -> str:
    return printable(with_blanks(text))


@settings(max_examples=150)
@given(TEXTS)
@example("\\|")
@example("a\\| b")
def test_any_text_in_a_cell_a_heading_and_a_list_is_that_text(text: str) -> None:
    table = Table(f"T {text}", ["system", f"c{text}"], [["s", text], [text, "1"]], text, frozenset(["system"]))
    source = to_markdown(table) + f"- {markdown_text(text, at_start=True)}\n"
    assert not ADDRESS.search(source)
    tokens = PARSER.parse(source)
    inline = [shown(token.children or []).strip() for token in tokens if token.type == "inline"]
    wanted = [plain(f"T {text}"), *map(cell, ["system", f"c{text}", "s", text, text, "1"]), *([plain(text)] * 2 if plain(text) else [])]
    assert inline == wanted
    blocks = {token.type for token in tokens if token.nesting >= 0}
    assert blocks <= {
        "inline", "heading_open", "table_open", "thead_open", "tbody_open", "tr_open", "th_open", "td_open", "paragraph_open",
        "bullet_list_open", "list_item_open",
    }  # fmt: skip
    assert sum(token.type == "heading_open" for token in tokens) == 1
    assert sum(token.type == "tr_open" for token in tokens) == 3


@pytest.mark.parametrize(
    "text", ["efficientnet_lite0", "0.867 [0.859, 0.877] / 0.850 *", "cpu_all @ 2026-03-01 12:30", "model.wrong=[3]", "-0.3 [-0.4, 0.1]"]
)
def test_what_is_harmless_stays_readable(text: str) -> None:
    assert markdown_text(text) == text


@pytest.fixture
def unread() -> Iterator[TextIOWrapper]:
    """A pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = TextIOWrapper(os.fdopen(writing, "wb", closefd=False), "utf-8")
    yield stream
    os.close(writing)


def test_a_reader_that_leaves_ends_nothing(unread: TextIOWrapper) -> None:
    stream = while_read(unread)
    for _ in range(3):
        print("x" * 100_000, file=stream, flush=True)
    Terminal(stream).line("the answer")
    with Progress(1, stream) as progress:
        progress.say("measured")
    stream.flush()
