"""A language model that a server runs, asked in words: its answer is the choice that its text names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.choices import Choices
from tasks.prompt import PLACE, Prompt
from tasks.runtimes.asking import AskedSession, make_asking


class ServedText:
    """``prompt`` is what the server reads, with ``{text}`` in the sample's place; ``request`` what the runtime is to be told.

    ``choices`` are the answers that count. Where the text names none of them, or several, there is no answer (`Choices`). Without
    ``choices``, the whole text is the answer. With ``after``, only what follows its last occurrence in the text counts, and nothing of a
    text that ends before it: for a model that reasons first.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        prompt: str = PLACE,
        choices: Sequence[str] | None = ("A", "B", "C", "D"),
        after: str | None = None,
    ) -> None:
        self._after = after
        self._request = dict(request)
        self._prompt = prompt
        self._choices = None if choices is None else tuple(choices)

    def check(self) -> None:
        """Raise InputError for keys that do not fit together."""
        if PLACE not in self._prompt:
            raise InputError(
                f"model.prompt={self._prompt[:60]!r} has no {PLACE}, so that every request would be the same; add it",
                key="model.prompt",
                value=self._prompt,
            )
        if self._choices is not None:
            texts = {choice for choice in self._choices if isinstance(choice, str) and choice}
            if len(texts) < max(2, len(self._choices)):
                raise InputError(
                    f"model.choices={list(self._choices)} must be two or more different texts (in quotes), or null; correct it",
                    key="model.choices",
                    value=list(self._choices),
                )

    def files(self) -> Sequence[Path]:
        """Return no file: the weights are the server's."""
        return ()

    def load(self, context: LoadContext) -> LoadedModel:
        """Open a session with the server."""
        if context.batch != 1:
            raise InputError(
                f"measurement.batch={context.batch}: a text is one request, and a server makes batches itself; set it to 1",
                "unsupported",
                "measurement.batch",
                context.batch,
            )
        named = context.runtime != "openai"
        return AskedInWords(AskedSession(context, make_asking(context, self._request)), self._prompt, self._choices, named, self._after)


class AskedInWords:
    """A session between texts and what the server says of them; ``named`` hands the text over as a place of a template."""

    def __init__(self, session: AskedSession, prompt: str, choices: Sequence[str] | None, named: bool, after: str | None = None) -> None:
        self._upload, self._download = session.upload, session.download
        self._prompt, self._named, self._after = prompt, named, after
        self._choices = None if choices is None else Choices(choices)
        # Bound here, so that the inference clock sees the client's own method and no call around it.
        self.infer = session.infer
        self.facts = session.facts

    def input_size(self, sample: str) -> int:
        """Return the number of characters: how many tokens they are, the server alone knows."""
        return len(sample)

    def preprocess(self, samples: Sequence[str]) -> Any:
        """Write the prompt of one text and return the request."""
        (sample,) = samples
        prompt = Prompt.of(sample).within(self._prompt)
        return self._upload({"text": prompt} if self._named else prompt)

    def postprocess(self, outputs: Any) -> list[str | None]:
        """Return the choice that the answer names, None where it names none or several, or the whole answer."""
        said = self._download(outputs)
        text = str(said[0] if isinstance(said, list) and len(said) == 1 else said)
        if self._after is not None:
            text = text.rpartition(self._after)[2] if self._after in text else ""
        text = text.strip()
        return [text if self._choices is None else self._choices.named(text)]
