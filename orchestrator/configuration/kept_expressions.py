"""Which values of a composed document are stored as the expression that they were written with (pure).

A document is composed twice: with the values of environment variables, and with ``${oc.env:NAME}`` in their place. Where the two differ
in what belongs to a target, or in ``system.paths``, the latter is kept. The keys of our own say what is measured and keep their values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.configuration.keys import WITH_OPTIONS, schema_keys
from orchestrator.contracts import InputError


def keep_expressions(values: dict[str, Any], written: Mapping[str, Any], resolved_text: Callable[[str], str]) -> dict[str, Any]:
    """Return a document with expressions in place of values.

    Parameters
    ----------
    values, written
        the document with the values of variables, and with their expressions.
    resolved_text
        gives the text with values in place of expressions.

    Raises
    ------
    InputError
        for a text that cannot be had from its expression again.
    """

    def kept(key: str, value: Any, expressed: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(f"{key}.{name}", inside, _inside(expressed, name)) for name, inside in value.items()}
        if isinstance(value, list):
            return [kept(f"{key}.{place}", inside, _inside(expressed, place)) for place, inside in enumerate(value)]
        if not isinstance(value, str) or value == expressed:
            return value
        if not isinstance(expressed, str) or resolved_text(expressed) != value:
            raise InputError(
                f"{key}: is made of an environment variable and could not be stored without its value; write ${{oc.env:NAME}} as text"
            )
        return expressed

    changed = dict(values)
    for block in WITH_OPTIONS:
        if isinstance(values.get(block), dict):
            ours = schema_keys(block)
            changed[block] = {
                name: value if name in ours else kept(f"{block}.{name}", value, _inside(written.get(block), name))
                for name, value in values[block].items()
            }
    system = values.get("system")
    if isinstance(system, dict) and isinstance(system.get("paths"), dict):
        paths = kept("system.paths", system["paths"], _inside(written.get("system"), "paths"))
        changed["system"] = {**system, "paths": paths}
    return changed


def _inside(value: Any, place: str | int) -> Any:
    """Return a part of a value, None where it has another form."""
    try:
        return value[place]
    except (IndexError, KeyError, TypeError):
        return None
