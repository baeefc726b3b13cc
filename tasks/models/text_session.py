"""A session that reads texts: what a chooser and a continuer share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.models.token_input import TokenInput
from tasks.runtimes.session import Session


class TextSession:
    """A loaded network between texts and whatever ``postprocess`` of a class below makes of its outputs."""

    def __init__(self, session: Session, tokens: TokenInput, facts: Mapping[str, Any]) -> None:
        self._upload = session.upload
        self._download = session.download
        self._tokens = tokens
        # Bound here, so that the inference clock sees the session's own method and no call around it.
        self.infer: Callable[..., Any] = session.infer
        self.facts = facts

    def input_size(self, sample: str) -> int:
        """Return the number of tokens that the network sees of the text, filling not counted."""
        return len(self._tokens.ids(sample))

    def preprocess(self, samples: Sequence[str]) -> Any:
        """Turn texts into tokens on the device."""
        return self._upload(self._tokens.arrays(samples))
