"""From texts to rows of tokens of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from orchestrator.contracts import InputError

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
    cut
        whether longer texts are cut to ``most`` tokens or refused.
    length
        fill every row up to this number; None fills up to the longest text of the batch.
    """

    tokenizer: Any
    padding: Literal["left", "right"]
    most: int
    cut: bool
    length: int | None = None

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text, with the special ones that the tokenizer adds.

        Raises
        ------
        ValueError
            for a text that is too long and may not be cut.
        """
        ids: list[int] = self.tokenizer(text, truncation=self.cut, max_length=self.most if self.cut else None)["input_ids"]
        if len(ids) > self.most:
            raise ValueError(f"a text of {len(ids)} tokens is longer than the {self.most} that the network takes")
        return ids

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
            raise InputError(f"model.choices={choice} is not one token after 'Answer:' for this model's tokenizer; choose other choices")
        tokens.append(last)
    return tokens
