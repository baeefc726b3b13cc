"""From axes to combinations: what a sweep file may hold, and the product, the pairs and the exclusions (pure)."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from orchestrator.configuration.fields import Frozen, refusal
from orchestrator.contracts import InputError, nearest

MOST_COMBINATIONS = 10_000
SWEEP_KEYS = ("axes", "set", "set_when", "exclude", "pair", "notes")
FORMS = {
    "axes": "must map each key to one string in Hydra's grammar, such as model: a,b",
    "set": "must be a list of strings such as measurement.batch=4",
    "set_when": "must be a list of mappings such as {when: {model: a}, set: [measurement.batch=4]}",
    "exclude": "must be a list of mappings of axes to values, such as {model: a, system: [x, y]}",
    "pair": "must be a list of lists of axes, such as [model, task]",
    "notes": "must be a list of mappings such as {when: {model: a}, say: what the plan is to say of them}",
}


def _scalar_text(value: object) -> object:
    """Return a YAML scalar as it is written on a command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_scalar_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]

Axes = Mapping[str, tuple[str, ...]]  # key -> its values, each in Hydra's override grammar

Combination = dict[str, str]


class Note(Frozen):
    """What the plan says of the combinations that have one of the listed values for every axis of ``when``."""

    when: dict[str, Texts]
    say: str


class Conditional(Frozen):
    """Plain settings of the trials that have one of the listed values for every key of ``when``, an axis or what the sweep sets."""

    when: dict[str, Texts] = Field(min_length=1)
    settings: tuple[str, ...] = Field(alias="set")


Rule = TypeVar("Rule", Note, Conditional)


class SweepFile(Frozen):
    """A sweep file as written: axes and exclusions in Hydra's grammar, plain settings, keys that move together."""

    axes: dict[str, Annotated[str, BeforeValidator(lambda value: "" if value is None else _scalar_text(value))]] = Field({})
    settings: tuple[str, ...] = Field((), alias="set")
    exclude: tuple[dict[str, Texts], ...] = ()
    pair: tuple[tuple[str, ...], ...] = ()
    notes: tuple[Note, ...] = ()
    set_when: tuple[Conditional, ...] = ()


def parse_sweep(data: object) -> SweepFile:
    """Return what a sweep file says.

    Raises
    ------
    InputError
        for a key that no sweep file has, or a value of the wrong form.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"must be a mapping with {', '.join(SWEEP_KEYS)}")
    try:
        return SweepFile.model_validate({key: value for key, value in data.items() if value is not None or key not in FORMS})
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        raise (InputError(f"{key} {FORMS[key]}", "invalid", key) if key in FORMS else refusal(error, SWEEP_KEYS)) from error


def applying(rules: Sequence[Rule], known: Combination, where: str) -> list[Rule]:
    """Return the notes or conditional settings that hold for a trial, in their order.

    Parameters
    ----------
    known
        the trial's value of every axis; for settings also what the sweep file and the command line set.
    where
        the key of the sweep file, for the message.

    Raises
    ------
    InputError
        for a condition on a key that is not among these.
    """
    for key in (key for rule in rules for key in rule.when):
        if key not in known:
            raise InputError(
                f"{key}: {where} names it, but the sweep neither has such an axis nor sets it; {nearest(key, known)}", "unknown", key
            )
    return [rule for rule in rules if applies(rule.when, known)]


def applies(rule: Axes, combination: Combination) -> bool:
    """Return whether a combination has one of the listed values for every key of a rule."""
    return all(combination[key] in values for key, values in rule.items())


def combinations(
    axes: Axes,
    pair: Sequence[Sequence[str]] = (),
    exclude: Sequence[Axes] = (),
    narrowed: Axes | None = None,
) -> tuple[list[Combination], int]:
    """Return every combination of the axes and the number of those that an exclusion left out.

    Parameters
    ----------
    axes
        the axes in their order; the last one varies fastest.
    pair
        axes that move together: the first value of one with the first of the others, and so on. They vary at the place of the
        first of them.
    exclude
        rules; a combination that has one of the listed values for every axis of a rule is left out.
    narrowed
        axes whose values the command line replaced. In a pair, one such axis whose new values were there before keeps the rows
        that hold them.

    Raises
    ------
    InputError
        for an empty axis, unequal pairs, a rule about no axis, too many combinations, or none.
    """
    narrowed = narrowed or {}
    merged = {**axes, **narrowed}
    for key, values in merged.items():
        if not values or values == ("",):
            raise InputError(f"{key}: the axis is empty; give at least one value", "missing", key)
    for key in itertools.chain(*pair, *exclude):
        if key not in merged:
            raise InputError(f"{key}: pair and exclude name it, but it is no axis of the sweep; {nearest(key, merged)}", "unknown", key)
        if sum(key in keys for keys in pair) > 1:
            raise InputError(f"{key}: it is named twice in pair; an axis can move with one group of axes only", "conflict", key)
    columns = []
    for key in merged:
        group = next((keys for keys in pair if key in keys), None)
        if group is None:
            columns.append([{key: value} for value in merged[key]])
        elif key == next(other for other in merged if other in group):
            columns.append(_paired_rows(group, axes, merged, narrowed))
    size = math.prod(len(column) for column in columns)
    if size > MOST_COMBINATIONS:
        raise InputError(
            f"the axes make {size} combinations, more than {MOST_COMBINATIONS}; narrow them or split the sweep", "too_large", value=size
        )
    every = [{key: value for part in row for key, value in part.items()} for row in itertools.product(*columns)]
    kept = [row for row in every if not any(applies(rule, row) for rule in exclude)]
    if not kept:
        raise InputError(f"all {size} combinations of the axes are excluded; relax exclude or add values", "no_data", "exclude")
    return kept, size - len(kept)


def _paired_rows(keys: Sequence[str], axes: Axes, merged: Axes, narrowed: Axes) -> list[Combination]:
    changed = [key for key in keys if key in narrowed]
    lengths_before = {len(axes[key]) for key in keys if key in axes}
    if len(changed) == 1 and len(lengths_before) == 1 and set(narrowed[changed[0]]) <= set(axes.get(changed[0], ())):
        before = [dict(zip(keys, row, strict=True)) for row in zip(*(axes[key] for key in keys), strict=True)]
        return [row for value in narrowed[changed[0]] for row in before if row[changed[0]] == value]
    if len({len(merged[key]) for key in keys}) != 1:
        counts = ", ".join(f"{key} has {len(merged[key])}" for key in keys)
        raise InputError(f"axes that move together need equally many values: {counts}; give all of them or none", "conflict", value=keys)
    return [dict(zip(keys, row, strict=True)) for row in zip(*(merged[key] for key in keys), strict=True)]
