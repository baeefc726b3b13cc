"""A loaded network that scores a fixed set of texts for every text it reads, and answers with the one that scores highest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.models.text_session import TextSession
from tasks.models.token_input import TokenInput
from tasks.runtimes.session import Session


class TextChooser(TextSession):
    """A session between texts and one of ``choices``: letters of a question, classes of a review."""

    def __init__(self, session: Session, tokens: TokenInput, choices: Sequence[str], facts: Mapping[str, Any]) -> None:
        super().__init__(session, tokens, facts)
        self._choices = choices

    def postprocess(self, outputs: Any) -> list[str]:
        """Return the choice with the highest score for each sample. Raises ArithmeticError for NaN, which has no place in any order."""
        scores = self._download(outputs)
        if np.isnan(scores).any():
            raise ArithmeticError("the network answered NaN")
        return [self._choices[index] for index in scores.argmax(axis=1)]
