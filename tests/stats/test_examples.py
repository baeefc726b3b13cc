import doctest
import pkgutil
from importlib import import_module

from orchestrator import stats

MODULES = [module.name for module in pkgutil.walk_packages(stats.__path__, "orchestrator.stats.")]


def test_examples_in_docstrings_hold() -> None:
    results = [doctest.testmod(import_module(name)) for name in MODULES]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 40
