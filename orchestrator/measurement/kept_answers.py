"""An answer of a server as it may be kept: one for each sample, in text that can be written, without the server's token. Pure."""

from collections.abc import Callable
from typing import Any

import numpy as np

from orchestrator.contracts import ServerFault


def refuse_other_count(answers: Any, samples: int) -> None:
    """Raise ServerFault if a request of so many samples was not answered with one answer each."""
    count = len(answers) if hasattr(answers, "__len__") else None
    if count != samples:
        found = "no list of answers" if count is None else f"{count} answers"
        raise ServerFault(f"the request was of {samples} sample{'s' if samples > 1 else ''}, and what came back holds {found}")


def kept(value: Any, hide: Callable[[str], str]) -> Any:
    """Return an answer with all its texts as they may be stored: ``hide`` takes out what may not, and halves of letters become U+FFFD."""
    if isinstance(value, str):
        return hide(whole_letters(value))
    if isinstance(value, list):
        return [kept(each, hide) for each in value]
    if type(value) is tuple:
        return tuple(kept(each, hide) for each in value)
    if isinstance(value, dict):
        return {kept(name, hide): kept(each, hide) for name, each in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        found = np.empty(value.size, dtype=object)
        found[:] = [kept(each, hide) for each in value.ravel().tolist()]
        return found.reshape(value.shape)
    return value


def whole_letters(text: str) -> str:
    r"""Return a text in which halves of surrogate pairs, which no file can hold, are U+FFFD; two that fit make their letter.

    A server that cuts an answer within an emoji sends ``"\ud83d"``.
    """
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
