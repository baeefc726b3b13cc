"""A loaded network that continues every text by one token, and answers with the last character of what there is then."""

from __future__ import annotations

from typing import Any

from tasks.models.text_session import TextSession


class TextContinuer(TextSession):
    """A session between texts and the last characters of their continuations."""

    def postprocess(self, outputs: Any) -> list[str | None]:
        """Decode the whole of each text, special tokens left out, and return its last character; None for an empty one."""
        texts: list[str] = self._tokens.tokenizer.batch_decode(self._download(outputs), skip_special_tokens=True)
        return [text[-1] if text else None for text in texts]
