"""From axes to combinations: what a sweep file may hold, and the product, the pairs and the exclusions (pure)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.configuration.keys import nearest
from orchestrator.contracts import InputError

MOST_COMBINATIONS = 10_000
SWEEP_KEYS = ("axes", "set", "set_when", "exclude", "pair", "notes")
NOTE_FORM = "mappings such as {when: {model: a}, say: what the plan is to say of them}"
SET_WHEN_FORM = "mappings such as {when: {model: a}, set: [measurement.batch=4]}"

Axes = Mapping[str, tuple[str, ...]]
"""Key -> its values, each in Hydra's override grammar."""

Combination = dict[str, str]


@dataclass(frozen=True)
class SweepFile:
    """A sweep file as written: axes and exclusions in Hydra's grammar, plain settings, keys that move together."""

    axes: Mapping[str, str]
    settings: tuple[str, ...] = ()
    exclude: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    pair: tuple[tuple[str, ...], ...] = ()
    notes: tuple[Note, ...] = ()
    set_when: tuple[Conditional, ...] = ()


@dataclass(frozen=True)
class Note:
    """What the plan says of the combinations that have one of the listed values for every axis of ``when``."""

    when: Mapping[str, tuple[str, ...]]
    say: str


@dataclass(frozen=True)
class Conditional:
    """Plain settings of the trials that have one of the listed values for every key of ``when``, an axis or what the sweep sets."""

    when: Mapping[str, tuple[str, ...]]
    settings: tuple[str, ...]


def parse_sweep(data: object) -> SweepFile:
    """Return what a sweep file says.

    Raises
    ------
    InputError
        for a key that no sweep file has, or a value of the wrong form.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"must be a mapping with {', '.join(SWEEP_KEYS)}")
    for key in data:
        if key not in SWEEP_KEYS:
            raise InputError(f"{key}: no such key; {nearest(str(key), SWEEP_KEYS)}")
    axes = data.get("axes") or {}
    if not isinstance(axes, Mapping) or not all(_is_scalar(value) for value in axes.values()):
        raise InputError("axes must map each key to one string in Hydra's grammar, such as model: a,b")
    exclude = _list_of(data, "exclude", Mapping, "mappings of axes to values, such as {model: a, system: [x, y]}")
    pair = _list_of(data, "pair", list, "lists of axes, such as [model, task]")
    plain = _list_of(data, "set", str, "strings such as measurement.batch=4")
    return SweepFile(
        axes={str(key): "" if value is None else scalar_text(value) for key, value in axes.items()},
        settings=tuple(plain),
        exclude=tuple(_rule(rule) for rule in exclude),
        pair=tuple(tuple(str(key) for key in keys) for keys in pair),
        notes=tuple(_note(note) for note in _list_of(data, "notes", Mapping, NOTE_FORM)),
        set_when=tuple(_conditional(each) for each in _list_of(data, "set_when", Mapping, SET_WHEN_FORM)),
    )


def _rule(rule: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {str(key): tuple(map(scalar_text, value if isinstance(value, list) else [value])) for key, value in rule.items()}


def _note(note: Mapping[str, Any]) -> Note:
    if set(note) != {"when", "say"} or not isinstance(note["when"], Mapping) or not isinstance(note["say"], str):
        raise InputError(f"notes must be a list of {NOTE_FORM}")
    return Note(_rule(note["when"]), note["say"])


def _conditional(each: Mapping[str, Any]) -> Conditional:
    if set(each) != {"when", "set"} or not isinstance(each["when"], Mapping) or not isinstance(each["set"], list):
        raise InputError(f"set_when must be a list of {SET_WHEN_FORM}")
    if not each["when"] or not all(isinstance(text, str) for text in each["set"]):
        raise InputError(f"set_when must be a list of {SET_WHEN_FORM}")
    return Conditional(_rule(each["when"]), tuple(each["set"]))


def settings_when(conditionals: Sequence[Conditional], known: Combination) -> list[str]:
    """Return the settings of every conditional that applies, in their order, as written.

    Parameters
    ----------
    known
        what the sweep file and the command line set, and the trial's value of every axis.

    Raises
    ------
    InputError
        for a condition on a key that is not among these.
    """
    for key in (key for each in conditionals for key in each.when):
        if key not in known:
            raise InputError(f"{key}: set_when names it, but the sweep neither has such an axis nor sets it; {nearest(key, known)}")
    return [text for each in conditionals if applies(each.when, known) for text in each.settings]


def applies(rule: Axes, combination: Combination) -> bool:
    """Return whether a combination has one of the listed values for every key of a rule."""
    return all(combination[key] in values for key, values in rule.items())


def notes_on(notes: Sequence[Note], combination: Combination) -> str:
    """Return what the notes say of a combination, joined. Raises InputError for a note on an unknown axis."""
    for key in (key for note in notes for key in note.when):
        if key not in combination:
            raise InputError(f"{key}: notes name it, but it is no axis of the sweep; {nearest(key, combination)}")
    return "; ".join(note.say for note in notes if applies(note.when, combination))


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
            raise InputError(f"{key}: the axis is empty; give at least one value")
    for rule in exclude:
        if not rule:
            raise InputError("exclude: an empty rule would leave out everything; name at least one axis")
    for key in itertools.chain(*pair, *exclude):
        if key not in merged:
            raise InputError(f"{key}: pair and exclude name it, but it is no axis of the sweep; {nearest(key, merged)}")
    columns = _columns(axes, merged, pair, narrowed)
    size = math.prod(len(column) for column in columns)
    if size > MOST_COMBINATIONS:
        raise InputError(f"the axes make {size} combinations, more than {MOST_COMBINATIONS}; narrow them or split the sweep")
    every = [{key: value for part in row for key, value in part.items()} for row in itertools.product(*columns)]
    kept = [row for row in every if not any(applies(rule, row) for rule in exclude)]
    if not kept:
        raise InputError(f"all {size} combinations of the axes are excluded; relax exclude or add values")
    return kept, size - len(kept)


def _columns(axes: Axes, merged: Axes, pair: Sequence[Sequence[str]], narrowed: Axes) -> list[list[Combination]]:
    """Return one list of partial combinations per axis, or per pair at the place of its first axis."""
    keys_paired = [key for keys in pair for key in keys]
    twice = next((key for key in keys_paired if keys_paired.count(key) > 1), None)
    if twice is not None:
        raise InputError(f"{twice}: it is named twice in pair; an axis can move with one group of axes only")
    columns = []
    for key in merged:
        group = next((keys for keys in pair if key in keys), None)
        if group is None:
            columns.append([{key: value} for value in merged[key]])
        elif key == next(other for other in merged if other in group):
            columns.append(_paired_rows(group, axes, merged, narrowed))
    return columns


def _paired_rows(keys: Sequence[str], axes: Axes, merged: Axes, narrowed: Axes) -> list[Combination]:
    changed = [key for key in keys if key in narrowed]
    lengths_before = {len(axes[key]) for key in keys if key in axes}
    if len(changed) == 1 and len(lengths_before) == 1 and set(narrowed[changed[0]]) <= set(axes.get(changed[0], ())):
        before = [dict(zip(keys, row, strict=True)) for row in zip(*(axes[key] for key in keys), strict=True)]
        return [row for value in narrowed[changed[0]] for row in before if row[changed[0]] == value]
    if len({len(merged[key]) for key in keys}) != 1:
        counts = ", ".join(f"{key} has {len(merged[key])}" for key in keys)
        raise InputError(f"axes that move together need equally many values: {counts}; give all of them or none")
    return [dict(zip(keys, row, strict=True)) for row in zip(*(merged[key] for key in keys), strict=True)]


def scalar_text(value: object) -> str:
    """Return a YAML scalar as it is written on a command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float) or value is None


def _list_of(data: Mapping[str, Any], key: str, kind: type, form: str) -> list[Any]:
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, kind) for each in found):
        raise InputError(f"{key} must be a list of {form}")
    return found
