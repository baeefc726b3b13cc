"""In which settings trials differ that are different work, which of two campaigns belong together, and how a command sets them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from orchestrator.configuration.config import Target, Trial
from orchestrator.running.identity import NO_WORK, OF_SERVER

NAMED = ("model", "task", "system", "runtime", "server", "load")
"""Blocks that a command chooses by name, as in ``system=cpu_all``."""
TASK = NAMED.index("task")
DRAWS = ("task.limit", "task.subset_seed")
"""Settings that the digest of the data stands for: they choose its samples."""


def settings_of(trial: Trial) -> dict[str, Any]:
    """Return the settings that make a trial the work it is, by the keys of a command; never paths. A block's name has the block's key."""
    return {key.removesuffix(".name"): value for key, value in _settings(trial)}


def _settings(trial: Trial) -> Iterator[tuple[str, Any]]:
    own = {f"settings.{name}": value for name, value in trial.server.settings.items()}
    blocks = [
        *((name, getattr(trial, name).model_dump(mode="json", exclude=left_out)) for name, left_out in NO_WORK.items()),
        ("server", trial.server.model_dump(mode="json", include=OF_SERVER) | own),
        ("load", trial.load.model_dump(mode="json", exclude={"file"})),
    ]
    for block, known in blocks:
        settings = getattr(trial, block)
        yield from ((f"{block}.{name}", value) for name, value in known.items())
        if isinstance(settings, Target):
            yield from ((f"{block}.{name}", value) for name, value in settings.options.items() if not _is_path(value))
    yield from (("task.limit", trial.task.limit), ("task.subset_seed", trial.task.subset_seed))
    yield "measurement.lead_in", trial.measurement.lead_in


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "/" in value


def differing_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the keys of `settings_of` whose values differ, names first."""
    keys = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
    return sorted(keys, key=lambda key: key not in NAMED)


def differences(before: Trial, after: Trial) -> list[str]:
    """Return the settings that make two trials different work, such as ``model.sleep_ms 2.0 -> 2.2``; never paths.

    What only draws samples counts as such work where nothing else differs.
    """
    here, there = settings_of(before), settings_of(after)
    return [f"{key} {written(here.get(key))} -> {written(there.get(key))}" for key in differing_keys(here, there) if key not in DRAWS]


def drawn_otherwise(before: Trial, after: Trial) -> list[str]:
    """Return the settings in which two trials draw other samples of their task."""
    here, there = settings_of(before), settings_of(after)
    return [f"{key} {written(here[key])} -> {written(there[key])}" for key in DRAWS if here[key] != there[key]]


def written(value: Any) -> str:
    """Write a value as a command has it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


PLAIN_TEXT = re.compile(r"[A-Za-z_][\w.@:+-]*", re.ASCII)
WORDS_OF_HYDRA = frozenset(["null", "true", "false", "nan", "inf", "yes", "no", "on", "off"])


def as_word(key: str, value: Any) -> str | None:
    """Return ``KEY=VALUE`` that sets a value, None for one that no word sets: a mapping, and what a name decides.

    Examples
    --------
    >>> as_word("measurement.batch", 4), as_word("system.exclusive", False), as_word("measurement.max_seconds", None)
    ('measurement.batch=4', 'system.exclusive=false', 'measurement.max_seconds=null')
    >>> as_word("system.cores", [0, 1]), as_word("model.prompt", "two words"), as_word("system.labels", {"gpu": "a"})
    ('system.cores=[0,1]', 'model.prompt="two words"', None)
    """
    if key.endswith((".target", ".kind")) or isinstance(value, dict):
        return None
    if isinstance(value, str) and not (PLAIN_TEXT.fullmatch(value) and value.lower() not in WORDS_OF_HYDRA):
        return None if set(value) & set('"\\$') else f'{key}="{value}"'
    return f"{key}={written(value)}"


def closest(before: Mapping[str, Trial], after: Mapping[str, Trial]) -> dict[str, str]:
    """Return for trials of one campaign those of another that are most like them, by match key, each at most once.

    They are of one task. Those of all names alike belong together; where there are none, those of which as few names differ as of any.
    """
    here, there = ({key: settings_of(trial) for key, trial in side.items()} for side in (before, after))
    apart = {
        (mine, theirs): sum(one != other for one, other in zip(mine, theirs, strict=True))
        for mine, theirs in product(set(map(_names, here.values())), set(map(_names, there.values())))
        if mine[TASK] == theirs[TASK]
    }
    fewest = min(apart.values(), default=0)
    found = [
        (len(differing_keys(own, other)), mine, theirs)
        for (mine, own), (theirs, other) in product(here.items(), there.items())
        if apart.get((_names(own), _names(other))) == fewest
    ]
    partners: dict[str, str] = {}
    for _, mine, theirs in sorted(found, key=lambda one: one[0]):
        if mine not in partners and theirs not in partners.values():
            partners[mine] = theirs
    return partners


def _names(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(settings[block] for block in NAMED)


def sides_of(before: Trial, after: Trial, typed: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the words that set the settings in which two trials differ, of either; None where a word cannot.

    Of a block that has another name its own settings come with the name, except those that were ``typed``.
    """
    here, there = settings_of(before), settings_of(after)
    keys = differing_keys(here, there)
    renamed = {key for key in keys if key in NAMED}
    given = {word.lstrip("+~").partition("=")[0] for word in typed}
    wanted = [key for key in keys if key in NAMED or key in given or key.partition(".")[0] not in renamed]
    sides = [[as_word(key, side[key]) for key in wanted if key in side] for side in (here, there)]
    if not all(sides) or any(word is None for words in sides for word in words):
        return None
    first, second = (tuple(word for word in words if word is not None) for words in sides)
    return first, second
