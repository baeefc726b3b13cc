"""What a refusal says to programs: its code, the key and the value. Its sentence is behaviour of no test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orchestrator.contracts import Code, InputError


@contextmanager
def refused(code: Code, key: str | None = None, value: Any = ...) -> Iterator[pytest.ExceptionInfo[InputError]]:
    """Expect an InputError with this code, and with this key and value where they are given."""
    with pytest.raises(InputError) as caught:
        yield caught
    error = caught.value
    assert error.code == code, f"{error.code}: {error}"
    assert key is None or error.key == key, f"{error.key}: {error}"
    assert value is ... or error.value == value, f"{error.value!r}: {error}"
