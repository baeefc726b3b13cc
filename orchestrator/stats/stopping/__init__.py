"""Stopping rules, found by name.

A rule is a class in a file of this folder with a ``name`` and the form of `rule.StoppingRule`.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from orchestrator.contracts import InputError, nearest
from orchestrator.stats.stopping.rule import (
    CHECK_COLUMNS,
    Bounded,
    Decision,
    RoundObservation,
    RuleSettings,
    StoppingRule,
)

__all__ = ["CHECK_COLUMNS", "Decision", "RoundObservation", "StoppingRule", "make_rule"]


RULES: dict[str, type[Any]] = {
    one.name: one
    for found in iter_modules(__path__, f"{__name__}.")
    for one in vars(import_module(found.name)).values()
    if inspect.isclass(one) and one.__module__ == found.name and hasattr(one, "name")
}


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
        raise InputError(
            f"measurement.rule={name}: no such rule; {nearest(name, RULES)}",
            "unknown",
            "measurement.rule",
            name,
        )
    parameters = inspect.signature(RULES[name]).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    checked = {}
    for option, value in (options or {}).items():
        key = f"measurement.rule_options.{option}"
        where = f"{key}={str(value)[:40]}"
        if option not in defaults:
            has = ", ".join(defaults) or "none"
            raise InputError(
                f"{where}: rule {name} has no such option; it has {has}", "unknown", key, value
            )
        default, wanted = defaults[option], type(defaults[option])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            kind = f"{wanted.__name__}, as its default {default} is"
            raise InputError(f"{where}: must be of type {kind}", "invalid", key, value)
        checked[option] = wanted(value)
    settings = RuleSettings(min_rounds, max_rounds, max_seconds, half_width, primary)
    return Bounded(RULES[name](settings, **checked), settings)
