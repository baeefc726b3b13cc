"""Stopping rules, found by name.

A rule is a class in a file of this folder with a ``name`` and the form of `rule.StoppingRule`.
"""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from orchestrator.contracts import InputError
from orchestrator.stats.stopping.rule import (
    CHECK_COLUMNS,
    Bounded,
    Decision,
    RoundObservation,
    RuleSettings,
    StoppingRule,
)

__all__ = ["CHECK_COLUMNS", "Decision", "RoundObservation", "StoppingRule", "make_rule"]


def by_name(found: Iterable[type[Any]]) -> dict[str, type[Any]]:
    """Return rules by their names. Raises ImportError where two have one."""
    rules: dict[str, type[Any]] = {}
    for one in found:
        if (first := rules.setdefault(one.name, one)) is not one:
            both = f"{first.__module__} and {one.__module__}"
            raise ImportError(f"rule {one.name!r}: {both} have one of that name; rename one")
    return rules


RULES = by_name(
    one
    for found in iter_modules(__path__, f"{__name__}.")
    for one in vars(import_module(found.name)).values()
    if inspect.isclass(one) and one.__module__ == found.name and hasattr(one, "name")
)


def make_rule(
    name: str,
    *,
    min_rounds: int,
    max_rounds: int,
    max_seconds: float | None = None,
    half_width: float = 0.02,
    primary: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> StoppingRule:
    """Return the rule of that name, held to its bounds, with options of its own by name.

    While a trial runs there is no reference yet: a percentile is the trial's own.

    Raises InputError for an unknown rule, an option that it does not have or that has another type,
    or a primary threshold that is none.
    """
    if name not in RULES:
        nearest = difflib.get_close_matches(name, RULES, n=1)
        choices = f"choose one of {', '.join(sorted(RULES))}"
        hint = f"did you mean {nearest[0]}?" if nearest else choices
        raise InputError(f"measurement.rule={name}: there is no such rule; {hint}")
    parameters = inspect.signature(RULES[name]).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    checked = {}
    for option, value in (options or {}).items():
        where = f"measurement.rule_options.{option}={str(value)[:40]}"
        if option not in defaults:
            has = ", ".join(defaults) or "none"
            raise InputError(f"{where}: rule {name} has no such option; it has {has}")
        default, wanted = defaults[option], type(defaults[option])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            kind = f"{wanted.__name__}, as its default {default} is"
            raise InputError(f"{where}: must be of type {kind}")
        checked[option] = wanted(value)
    settings = RuleSettings(min_rounds, max_rounds, max_seconds, half_width, primary)
    return Bounded(RULES[name](settings, **checked), settings)
