"""A loaded network that scores a fixed set of texts for every text it reads, and answers with the one that scores highest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tasks.models.token_input import TokenInput
from tasks.runtimes.session import Session


class TextChooser:
    """A session between texts and one of ``choices``: letters of a question, classes of a review."""

    def __init__(self, session: Session, tokens: TokenInput, choices: Sequence[str], facts: Mapping[str, Any]) -> None:
        self._upload = session.upload
        self._download = session.download
        self._tokens = tokens
        self._choices = choices
        # Bound here, so that the inference clock sees the session's own method and no call around it.
        self.infer: Callable[..., Any] = session.infer
        self.facts = facts

    def input_size(self, sample: str) -> int:
        """Return the number of tokens that the network sees of the text, filling not counted."""
        return len(self._tokens.ids(sample))

    def preprocess(self, samples: Sequence[str]) -> Any:
        """Turn texts into tokens on the device."""
        return self._upload(self._tokens.arrays(samples))

    def postprocess(self, outputs: Any) -> list[str]:
        """Return the choice with the highest score for each sample. Raises ArithmeticError for NaN, which has no place in any order."""
        scores = self._download(outputs)
        if np.isnan(scores).any():
            raise ArithmeticError("the network answered NaN")
        return [self._choices[index] for index in scores.argmax(axis=1)]
