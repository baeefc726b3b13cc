"""From texts to rows of tokens of one length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from orchestrator.contracts import InputError

TooLong = Literal["cut", "example", "refuse"]
Tokens = dict[str, np.ndarray[Any, np.dtype[np.int64]]]


@dataclass(frozen=True)
class TokenInput:
    """How a network takes texts.

    tokenizer
        transformers' tokenizer.
    padding
        where the filling goes: language models take it on the ``left``, so that all texts end at the last place.
    most
        the largest number of tokens that the network takes.
    too_long
        what becomes of longer texts: they are ``cut`` to ``most`` tokens, one ``example`` after another is left out, or they are refused.
    length
        fill every row up to this number; None fills up to the longest text of the batch.
    """

    tokenizer: Any
    padding: Literal["left", "right"]
    most: int
    too_long: TooLong
    length: int | None = None
    _shortened: dict[str, str] = field(default_factory=dict, init=False, compare=False)

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text, with the special ones that the tokenizer adds.

        Raises
        ------
        ValueError
            for a text that is too long and may not be cut, or still is without any example.
        """
        if self.too_long == "example":
            text = self._fitting(text)
        ids = self._encoded(text)
        if len(ids) > self.most:
            raise ValueError(f"a text of {len(ids)} tokens is longer than the {self.most} that the network takes")
        return ids

    def _encoded(self, text: str) -> list[int]:
        cut = self.too_long == "cut"
        ids: list[int] = self.tokenizer(text, truncation=cut, max_length=self.most if cut else None)["input_ids"]
        return ids

    def _fitting(self, text: str) -> str:
        """Return a text without as many examples as do not fit. Each text is shortened once: in the warm-up, so that no round times it."""
        if text not in self._shortened:
            self._shortened[text] = without_examples(text, lambda shorter: len(self._encoded(shorter)) <= self.most)
        return self._shortened[text]

    def arrays(self, texts: Sequence[str]) -> Tokens:
        """Return ``input_ids`` and ``attention_mask`` (1 where a token is, 0 where filled), both int64 of shape [texts, tokens]."""
        rows = [self.ids(text) for text in texts]
        width = self.length or max(map(len, rows))
        ids = np.zeros((len(rows), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for number, row in enumerate(rows):
            places = slice(0, len(row)) if self.padding == "right" else slice(width - len(row), width)
            ids[number, places] = row
            mask[number, places] = 1
        return {"input_ids": ids, "attention_mask": mask}


def without_examples(text: str, fits: Callable[[str], bool]) -> str:
    """Return a prompt that fits: of its pieces between blank lines, the second is left out until it does.

    The first piece introduces the questions, the second is the oldest example, and the last is the question itself, which stays. As in the
    program of Yang et al. (LLM/PyTorch/sources/run.py), a question that holds a blank line is more than one piece.
    """
    pieces = text.split("\n\n")
    while len(pieces) > 2 and not fits("\n\n".join(pieces)):
        del pieces[1]
    return "\n\n".join(pieces)


def choice_tokens(tokenizer: Any, choices: Sequence[str]) -> list[int]:
    """Return the one token that each choice is where it follows ``Answer:``.

    Raises
    ------
    InputError
        where a choice is no single token: its likelihood would not be one number of one forward pass.
    """
    start = tokenizer("Answer:", add_special_tokens=False)["input_ids"]
    tokens: list[int] = []
    for choice in choices:
        *before, last = tokenizer(f"Answer: {choice}", add_special_tokens=False)["input_ids"]
        if before != start:
            raise InputError(
                f"model.choices={choice} is not one token after 'Answer:' for this model's tokenizer; choose other choices",
                key="model.choices",
                value=choice,
            )
        tokens.append(last)
    return tokens
