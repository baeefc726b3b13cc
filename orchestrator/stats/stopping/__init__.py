"""Stopping rules, found by name: one file each.

A rule is a class in a file of this folder with a ``name`` and the form of `rule.StoppingRule`.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from orchestrator.contracts import InputError
from orchestrator.kept_settings import SettingsKept
from orchestrator.stats.stopping.rule import CHECK_COLUMNS, Bounded, Decision, RoundObservation, RuleSettings, StoppingRule

__all__ = ["CHECK_COLUMNS", "Decision", "RoundObservation", "StoppingRule", "make_rule"]


def _of_this_folder() -> Iterator[tuple[str, type[Any]]]:
    for found in iter_modules(__path__, f"{__name__}."):
        for one in vars(import_module(found.name)).values():
            name = getattr(one, "name", None)
            if inspect.isclass(one) and one.__module__ == found.name and isinstance(name, str):
                yield name, one


def by_name(found: Iterable[tuple[str, type[Any]]]) -> dict[str, type[Any]]:
    """Return rules by their names. Raises ImportError where two have one."""
    rules: dict[str, type[Any]] = {}
    for name, rule in found:
        if name in rules:
            raise ImportError(f"rule {name!r}: {rules[name].__module__} and {rule.__module__} have one of that name; rename one of them")
        rules[name] = rule
    return rules


RULES = by_name(_of_this_folder())


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
    """Return the rule of that name, held to its bounds.

    Parameters
    ----------
    half_width
        of rule ``settled``, as a share of ideal quality.
    primary
        the user's primary threshold such as ``50 ms`` or ``p95``. While a trial runs there is no reference yet, so that a percentile
        is the trial's own.
    options
        the rule's own, by name.

    Raises
    ------
    InputError
        for an unknown rule, an option that it does not have or that has another type, or a primary threshold that is none.
    """
    if name not in RULES:
        nearest = difflib.get_close_matches(name, RULES, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"choose one of {', '.join(sorted(RULES))}"
        raise InputError(f"measurement.rule={name}: there is no such rule; {hint}")
    settings = RuleSettings(min_rounds, max_rounds, max_seconds, half_width, primary)
    with SettingsKept():
        return Bounded(RULES[name](settings, **_checked(name, options or {})), settings)


def _checked(rule: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a rule as the types of their defaults. Raises InputError."""
    defaults = {name: one.default for name, one in inspect.signature(RULES[rule]).parameters.items() if one.kind is one.KEYWORD_ONLY}
    checked = {}
    for name, value in options.items():
        where = f"measurement.rule_options.{name}={str(value)[:40]}"
        if name not in defaults:
            raise InputError(f"{where}: rule {rule} has no such option; it has {', '.join(defaults) or 'none'}")
        wanted = type(defaults[name])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise InputError(f"{where}: must be of type {wanted.__name__}, as its default {defaults[name]} is")
        checked[name] = wanted(value)
    return checked
