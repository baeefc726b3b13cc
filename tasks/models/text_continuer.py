"""A loaded network that continues every text by one token, and answers with the last character of what there is then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.models.token_input import TokenInput
from tasks.runtimes.session import Session


class TextContinuer:
    """A session between texts and the last characters of their continuations."""

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

    def postprocess(self, outputs: Any) -> list[str | None]:
        """Decode the whole of each text, special tokens left out, and return its last character; None for an empty one."""
        texts: list[str] = self._tokens.tokenizer.batch_decode(self._download(outputs), skip_special_tokens=True)
        return [text[-1] if text else None for text in texts]
