"""Hydra with the shipped groups and the user's own: one override or one trial at a time."""

from __future__ import annotations

import copy
import filecmp
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers.oc import env

from orchestrator.configuration.environment_values import ASKED, expression, keep_expressions, resolved_text
from orchestrator.configuration.hydra_errors import SHOWN, in_one_line
from orchestrator.configuration.interpolations import bounded
from orchestrator.configuration.keys import (
    BLOCKS,
    check_key,
    is_group,
    is_schema_key,
    nearest,
)
from orchestrator.configuration.plain_values import check_plain
from orchestrator.configuration.sweep import Conditional, Note
from orchestrator.configuration.yaml_files import BoundedFiles, url_of
from orchestrator.contracts import InputError

MOST_VALUES = 100_000


Base = tuple[DictConfig, Mapping[str, str | None]]
"""A configuration, and the name of the YAML chosen in every group."""


@dataclass(frozen=True)
class Setting:
    """One override that was understood: a key and its values in Hydra's grammar. ``swept`` if it was spelled as a sweep."""

    key: str
    values: tuple[str, ...]
    swept: bool


def shipped_folder() -> Path:
    """Return the folder of the shipped groups: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


class Composer:
    """Hydra, initialised once, with the shipped groups and the user's own."""

    def __init__(self, config_dirs: Sequence[Path] = ()) -> None:
        self._parsed: dict[str, Override] = {}
        self._bases: dict[tuple[tuple[str, str], ...], Base] = {}
        self._folders = [_existing_folder(folder) for folder in config_dirs]
        _refuse_shadowed_files([shipped_folder(), *self._folders])
        Plugins.instance().register(BoundedFiles)
        urls = ",".join(QuotedString(url_of(folder), Quote.single).with_quotes() for folder in self._folders)
        self._search = [f"hydra.searchpath=[{urls}]"] if urls else []
        self._parser = OverridesParser.create()

    def __enter__(self) -> Composer:
        GlobalHydra.instance().clear()
        version.setbase("1.3")
        Hydra.create_main_hydra2("app", create_config_search_path(url_of(shipped_folder())))
        return self

    def __exit__(self, *exception: object) -> None:
        GlobalHydra.instance().clear()

    def parse(self, text: str) -> Override:
        """Return one override as Hydra's grammar reads it."""
        if text not in self._parsed:
            with in_one_line(text[:SHOWN]):
                self._parsed[text] = self._parser.parse_overrides([text])[0]
        return self._parsed[text]

    def setting(self, text: str) -> Setting:
        """Return one override as a known key with its values. Raises InputError."""
        override = self.parse(text)
        key = override.key_or_group
        if override.is_delete() or override.package is not None:
            raise InputError(f"{text}: only KEY=VALUE is understood; to empty a key write {key}=null")
        if key != "sweep":
            if key.startswith("sweep."):
                raise InputError(f"{key}: set the axis itself, such as model=a,b, or write a sweep file of your own")
            check_key(key)
        setting = Setting(key, self._values(override, text), override.is_sweep_override())
        if key == "sweep" or is_group(key):
            self._check_choices(setting)
        return setting

    def canonical_note(self, note: Note) -> Note:
        """Return a note whose values are spelled as the axes' are."""
        return Note({key: self.canonical_values(key, texts) for key, texts in note.when.items()}, note.say)

    def canonical_conditional(self, each: Conditional) -> Conditional:
        """Return conditional settings whose condition is spelled as the values of axes are."""
        return Conditional({key: self.canonical_values(key, texts) for key, texts in each.when.items()}, each.settings)

    def canonical_values(self, key: str, texts: Sequence[str]) -> tuple[str, ...]:
        """Return values spelled as the values of an axis are, so that the two can be compared."""
        return tuple(value for text in texts for value in self._values(self.parse(f"{key}={text}"), text))

    def _values(self, override: Override, text: str) -> tuple[str, ...]:
        value = override.value()
        if isinstance(value, Glob):
            return tuple(value.filter(self.choices(override.key_or_group)))
        if override.is_discrete_sweep():
            with in_one_line():
                values = tuple(islice(override.sweep_string_iterator(), MOST_VALUES + 1))
            if len(values) > MOST_VALUES:
                raise InputError(f"{text}: an axis has at most {MOST_VALUES:,} values; narrow it")
            return values
        if override.is_sweep_override():
            raise InputError(f"{text}: an interval has no list of values; write range(START,STOP,STEP) or a,b")
        if isinstance(value, str) and "${" in value:
            return (override.get_value_string(),)  # Hydra would escape the braces of an interpolation
        return (override.get_value_element_as_str(),)

    def _check_choices(self, setting: Setting) -> None:
        for value in setting.values:
            parsed = self.parse(f"{setting.key}={value}").value()
            if not isinstance(parsed, str) or not parsed:
                choices = self.choices(setting.key)
                advice = (
                    f"{value} is no name but a number, or a word of YAML's: rename the file"
                    if value in choices
                    else nearest(value, choices)
                )
                raise InputError(f"{setting.key}={value}: must be the name of one YAML in conf/{setting.key}; {advice}")

    def choices(self, group: str) -> list[str]:
        """Return the names of the YAML files of one group."""
        with in_one_line():
            return sorted(GlobalHydra.instance().config_loader().get_group_options(group, overrides=self._search))

    def read_sweep(self, name: str) -> Any:
        """Return the sweep file alone, unresolved: its interpolations belong to the trials."""
        with in_one_line(f"sweep={name}"):
            found = self._by_hydra([f"+sweep={name}"], f"sweep={name}").get("sweep")
            raw = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
        with named_sweep(name):
            check_plain(raw)
        return raw

    def compose(self, settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return one trial's document. Of several settings of one key the last counts. Raises InputError."""
        composed, choices = self._compose(settings)
        for group in ("model", "task"):
            if choices[group] is None:
                raise InputError(f"no {group} was chosen: add {group}=NAME; {nearest('', self.choices(group))}")
        with in_one_line(_files(choices)):
            return resolved_document(composed)

    def analysis(self, settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return the analysis block alone. Raises InputError."""
        composed, _ = self._compose(settings)
        with in_one_line():
            return resolved_document(OmegaConf.masked_copy(composed, ["analysis"]))["analysis"]  # type: ignore[no-any-return]

    def _compose(self, settings: Sequence[tuple[str, str]]) -> Base:
        """Return a separate configuration with the settings applied in Hydra's order: groups, then values."""
        last: dict[str, str] = {}
        for key, value in settings:
            last.pop(key, None)
            last[key] = value
        base, choices = self._base(tuple((key, value) for key, value in last.items() if is_group(key)))
        with in_one_line(_files(choices)):
            composed = copy.deepcopy(base)
        for key, value in last.items():
            if not is_group(key):
                self._apply(composed, key, value)
        return composed, choices

    def _base(self, groups: tuple[tuple[str, str], ...]) -> Base:
        """Return what the groups alone compose to. Hydra takes far longer than all the rest, so it composes each choice once."""
        if groups not in self._bases:
            with in_one_line(_files(dict(groups))):
                composed = self._by_hydra([f"{group}={name}" for group, name in groups], _files(dict(groups)))
                with open_dict(composed):
                    choices = composed.pop("hydra").runtime.choices
                self._bases[groups] = composed, choices
        return self._bases[groups]

    def _by_hydra(self, overrides: Sequence[str], where: str) -> DictConfig:
        try:
            with bounded(), _environment(expressed=False):  # Hydra itself evaluates what names a file of a group
                return compose("config", [*self._search, *overrides], return_hydra_config=True)
        except (AttributeError, KeyError) as error:  # of PyYAML, which trusts an explicit tag
            raise InputError(f"{where}: a YAML tag such as !!bool or !!timestamp does not fit its value; leave it out") from error

    def _apply(self, composed: DictConfig, key: str, text: str) -> None:
        """Set one value as Hydra does: ``++key=value`` where the YAML need not write the key, else ``key=value``."""
        line = f"{key}={text}"
        value = self.parse(line).value()
        with in_one_line(line[:SHOWN]):
            try:
                with bounded():
                    OmegaConf.update(composed, key, value, merge=True, force_add=is_schema_key(key))
            except OmegaConfBaseException as error:
                raise ConfigCompositionException(
                    f"{line[:SHOWN]}: has another form than the value in the YAML; write it in that form"
                ) from error


def resolved_document(composed: DictConfig) -> dict[str, Any]:
    """Return plain data, every interpolation resolved and no value missing."""
    with bounded(), _environment(expressed=False) as asked:
        document: dict[str, Any] = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    check_plain(document)
    if not asked:
        return document
    with bounded(), _environment(expressed=True):
        written: dict[str, Any] = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    return keep_expressions(document, written, resolved_text)


@contextmanager
def _environment(expressed: bool) -> Iterator[set[str]]:
    """Have ``${oc.env:NAME}`` give the value, or its expression where the variable is set. Yields the names of those asked for."""
    asked: set[str] = set()

    def of_variable(name: str = "", *default: Any) -> str | None:
        if not name:
            raise InputError("${oc.env:} names no variable; write ${oc.env:NAME}, or ${oc.env:NAME,VALUE} for one that may be missing")
        if name not in os.environ:
            found: str | None = env(name, *default)
            return found
        asked.add(name)
        ASKED.add(name)
        return expression(name) if expressed else os.environ[name]

    OmegaConf.register_new_resolver("oc.env", of_variable, replace=True)
    try:
        yield asked
    finally:
        OmegaConf.register_new_resolver("oc.env", env, replace=True)


def _files(choices: Mapping[str, str | None]) -> str:
    """Return how a message points to the chosen files."""
    return "a value in the YAML of " + ", ".join(f"{group}={name}" for group, name in choices.items() if is_group(group) and name)


@contextmanager
def named_sweep(sweep: str | None) -> Iterator[None]:
    """Say which sweep file a mistake is in."""
    try:
        yield
    except InputError as error:
        raise InputError(f"sweep {sweep}: {error}") from error


def _existing_folder(folder: Path) -> Path:
    absolute = folder.expanduser().absolute()
    if not absolute.is_dir():
        raise InputError(f"--config-dir {folder}: there is no such folder; it holds groups such as {folder}/model/NAME.yaml")
    return absolute


def _refuse_shadowed_files(folders: Sequence[Path]) -> None:
    """Refuse one name for two different files: the results would not say which of them was measured."""
    seen: dict[Path, Path] = {}
    for folder in dict.fromkeys(folders):
        for group in (*BLOCKS, "sweep"):
            for path in sorted((folder / group).rglob("*.yaml")):
                if not path.is_file():
                    raise InputError(
                        f"{path}: must be a regular file with YAML text, no folder, pipe or device; remove it or name it otherwise"
                    )
                first = seen.setdefault(path.relative_to(folder), path)
                if not filecmp.cmp(first, path, shallow=False):
                    raise InputError(f"{path}: {first} has the same name and another content; rename one of them")
