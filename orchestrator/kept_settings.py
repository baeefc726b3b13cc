"""Settings of the whole process, which code of one trial's metric, rule, task or model must not change for the others."""

import decimal
import os
import sys
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class _Settings:
    recursion_limit: int
    umask: int
    folder: str | None
    filters: tuple[Any, ...]


class SettingsKept:
    """Around a call of somebody's code in the driver: the settings are afterwards what they were before.

    They are the recursion limit, the umask, the working directory, filters of warnings, and what numpy and decimal do with errors and
    digits. Calls of several threads, and calls within calls, have one state to go back to: that of before the first of them. Not for a
    timed process, which is the model's own.
    """

    _lock = threading.Lock()
    _inside = 0
    _before = _Settings(0, 0, None, ())

    def __enter__(self) -> None:
        """Remember them, unless another call under way has."""
        self._numpy, self._decimal = np.errstate(), decimal.localcontext()
        self._numpy.__enter__()
        self._decimal.__enter__()
        kind = SettingsKept
        with kind._lock:
            if not kind._inside:
                kind._before = _now()
            kind._inside += 1

    def __exit__(self, *raised: object) -> None:
        """Put them back. The limit comes first, so that there is room for the rest."""
        sys.setrecursionlimit(SettingsKept._before.recursion_limit)
        kind = SettingsKept
        with kind._lock:
            kind._inside -= 1
            _put_back(kind._before)
        self._decimal.__exit__(None, None, None)
        self._numpy.__exit__(None, None, None)


def _now() -> _Settings:
    umask = os.umask(0o077)  # it can only be read by setting it: what another thread makes meanwhile is its own alone
    os.umask(umask)
    return _Settings(sys.getrecursionlimit(), umask, _folder(), tuple(warnings.filters))


def _put_back(before: _Settings) -> None:
    os.umask(before.umask)
    if tuple(warnings.filters) != before.filters:
        warnings.filters[:] = before.filters  # type: ignore[index]
    if before.folder is not None and _folder() != before.folder:
        with suppress(OSError):
            os.chdir(before.folder)


def _folder() -> str | None:
    """Return the working directory, None of one that has been deleted."""
    with suppress(OSError):
        return os.getcwd()  # noqa: PTH109 - asked around every call
    return None
