"""Which trials a requirement is for: patterns by axis, and what they match."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from orchestrator.analysis.groups import flattened
from orchestrator.assessment.requirements import Requirement
from orchestrator.assessment.values_asked import AXES, as_text
from orchestrator.configuration.config import Trial

NOTHING = "null"
"""What a key has that is not set."""


def settings_of(trial: Trial) -> dict[str, object]:
    """Return every setting of a trial by its dotted key; the options of a model or task stand beside its other keys."""
    return dict(flattened(trial.model_dump(mode="json")))


def texts_of(trial: Trial) -> dict[str, str]:
    """Return what patterns are held against: every setting and every axis of a trial as a text."""
    settings = settings_of(trial)
    keys = {key: as_text(value) for key, value in settings.items()}
    return {**keys, **{axis: as_text(settings[key]) for axis, key in AXES.items()}, "load": trial.load.words}


def is_for(requirement: Requirement, texts: Mapping[str, str]) -> bool:
    """Return whether a trial, by its texts, fits the patterns of every axis that a requirement names."""
    return all(_fits(texts.get(axis, NOTHING), patterns) for axis, patterns in requirement.trials.items())


def unmatched(requirement: Requirement, every: Sequence[Mapping[str, str]]) -> list[str]:
    """Return in words what a requirement is for and no trial is, by the texts of all; empty where every pattern is one of a trial's."""
    if not requirement.trials:
        return [] if every else ["there is no trial"]
    known = list(dict.fromkeys(key for texts in every for key in texts))
    strange = [axis for axis in requirement.trials if every and axis not in known and not _fits(NOTHING, requirement.trials[axis])]
    if strange:
        return [_no_such_key(axis, known) for axis in strange]
    chosen = [texts for texts in every if is_for(requirement, texts)]
    if not chosen:
        return [f"no trial is one that it is for ({_patterns(requirement)})"]
    return [
        f"no trial is one with {axis}: {pattern}"
        for axis, patterns in requirement.trials.items()
        for pattern in patterns
        if not any(_fits(texts.get(axis, NOTHING), [pattern]) for texts in chosen)
    ]


def _fits(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _no_such_key(axis: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(axis, known, n=1)
    return f"no trial has the key {axis}" + (f" (did you mean {nearest[0]}?)" if nearest else "")


def _patterns(requirement: Requirement) -> str:
    return ", ".join(f"{axis}: {' or '.join(patterns)}" for axis, patterns in requirement.trials.items())
