"""Frameworks for tests: every process of a run collects all tests and runs a part of them, so that each would import all frameworks."""

import importlib
from typing import Any


class Lazily:
    """A module by its name, imported when something of it is first asked for.

    Examples
    --------
    >>> Lazily("math").floor(2.5)
    2
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") or attribute == "_mock_name":  # pytest asks every object of a module whether it is a test or a mock
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
