"""Tail quality from a notebook, a test or a script: `measure`, `compare`, `run`, `open` and `load_config`.

Nothing heavy is imported before one of them is asked for, as pytest imports this package in every session.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tail_quality.measuring import compare, load_config, measure, run
    from tail_quality.results import Change, Result, Verdict, open  # noqa: A004 - read as tail_quality.open

__all__ = ["Change", "Result", "Verdict", "compare", "load_config", "measure", "open", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'results' if name[0].isupper() or name == 'open' else 'measuring'}"), name)
