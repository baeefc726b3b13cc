"""Markdown made of hostile text, read by a parser of CommonMark with tables: it shows that text and holds nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from orchestrator.report.table import Table, to_markdown
from orchestrator.report.text import markdown_text, printable, with_blanks

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


@settings(max_examples=400)
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
