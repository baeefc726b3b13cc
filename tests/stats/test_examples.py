from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

from orchestrator import stats

MODULES = [module.name for module in pkgutil.walk_packages(stats.__path__, "orchestrator.stats.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_examples_are_there_to_be_run() -> None:
    assert sum(doctest.testmod(import_module(name)).attempted for name in MODULES) > 40
