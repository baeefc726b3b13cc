"""Examples in docstrings are true. Those that read a campaign run in ``tests/export``."""

import doctest
import pkgutil
from importlib import import_module

import orchestrator
from orchestrator.metrics import Answers

MODULES = [module.name for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator.")]


def test_examples_in_docstrings_hold() -> None:
    modules = [import_module(name) for name in MODULES if not name.endswith((".__main__", ".python_interface"))]
    results = [doctest.testmod(module, extraglobs={"Answers": Answers}) for module in modules]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 80
