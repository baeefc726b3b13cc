"""A prompt that is more than one text: earlier messages stand before it, or its answer has a length of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PLACE = "{text}"


class Prompt(str):
    """The messages of a chat. As a text it is all of them, one after the other, for servers that know no messages.

    Parameters
    ----------
    messages
        ``role`` and ``content`` of each; the last one asks.
    max_tokens
        most tokens of the answer, in place of the model's own limit; None keeps that.
    """

    def __new__(cls, messages: Sequence[Mapping[str, str]], max_tokens: int | None = None) -> Prompt:
        return super().__new__(cls, "\n\n".join(message["content"] for message in messages))

    def __init__(self, messages: Sequence[Mapping[str, str]], max_tokens: int | None = None) -> None:
        self.messages, self.max_tokens = messages, max_tokens

    @classmethod
    def of(cls, text: str) -> Prompt:
        """Return a text as the only message, unless it is a prompt already."""
        return text if isinstance(text, cls) else cls([{"role": "user", "content": text}])

    def within(self, template: str) -> Prompt:
        """Return the prompt with its last message in the place that a template has for it."""
        *earlier, last = self.messages
        return Prompt([*earlier, {**last, "content": template.replace(PLACE, last["content"])}], self.max_tokens)
