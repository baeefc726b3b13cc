"""Hydra with the shipped groups and the user's own: one override or one trial at a time, and its mistakes in one line."""

import copy
import filecmp
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
    UnsupportedValueType,
)
from omegaconf.resolvers.oc import env

from orchestrator.configuration.config import BLOCKS, OPEN_KEYS, PLAIN_KEYS, check_key, nearest_key, schema_keys
from orchestrator.configuration.environment_values import keep_expressions
from orchestrator.configuration.fields import ASKED, PLAIN, SHOWN, check_plain, expression
from orchestrator.contracts import InputError, first_line, nearest

PROFILES = "analysis.bounds"  # a key that is a group of its own: its value is the name of a YAML
INTERPOLATIONS = "write ${oc.env:NAME} for a variable of the environment, ${KEY} for the value of another key, or a text without ${"
warnings.filterwarnings("ignore", message="In the sequence", module="omegaconf")  # ${oc.env:NAME,} has an empty text where NAME is missing

REMEDIES = {
    UnsupportedValueType: f"write {PLAIN}",
    InterpolationResolutionError: INTERPOLATIONS,
    UnsupportedInterpolationType: INTERPOLATIONS,
    UnicodeDecodeError: "save the file as UTF-8",
}
Base = tuple[DictConfig, Mapping[str, str | None]]  # a configuration, and the name of the YAML chosen in every group


@dataclass(frozen=True)
class Setting:
    """One override that was understood: a key and its values in Hydra's grammar. ``swept`` if it was spelled as a sweep."""

    key: str
    values: tuple[str, ...]
    swept: bool

    @property
    def shown(self) -> str:
        text = f"{self.key}={','.join(self.values)}"
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."

    @property
    def plain(self) -> tuple[str, str]:
        """The key and its only value. Raises InputError where there are several."""
        if self.swept:
            raise InputError(f"{self.shown}: one value is wanted here; several belong into the axes of a sweep", "conflict", self.key)
        return self.key, self.values[0]


def shipped_folder() -> Path:
    """Return the folder of the shipped groups: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1].resolve()
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


@lru_cache(maxsize=8)
def _composed(*files: tuple[Path, int, int]) -> dict[tuple[tuple[str, str], ...], Base]:
    """Return the memory of what these files, as they are by time and size, were composed to."""
    return {}


class Composer:
    """Hydra, initialised once, with the shipped groups and the user's own."""

    def __init__(self, config_dirs: Sequence[Path] = ()) -> None:
        self._parsed: dict[str, Override] = {}
        own = [folder.expanduser().absolute() for folder in config_dirs]
        for given, folder in zip(config_dirs, own, strict=True):
            if not folder.is_dir():
                raise InputError(
                    f"--config-dir {given}: there is no such folder; it holds groups such as {given}/model/NAME.yaml",
                    "not_found",
                    "--config-dir",
                    given,
                )
        self._folders = list(dict.fromkeys([shipped_folder(), *own]))
        self._bases = _composed(*((path, (found := path.stat()).st_mtime_ns, found.st_size) for path in self._files_by_name().values()))
        urls = ",".join(QuotedString(f"file://{folder}", Quote.single).with_quotes() for folder in own)
        self._search = [f"hydra.searchpath=[{urls}]"] if urls else []
        self._parser = OverridesParser.create()

    def _files_by_name(self) -> dict[Path, Path]:
        """Return the files of all groups. One name for two different files is refused: results would not say which of them was measured."""
        seen: dict[Path, Path] = {}
        for folder in self._folders:
            for path in (path for group in (*BLOCKS, "sweep") for path in sorted((folder / group).rglob("*.yaml"))):
                first = seen.setdefault(path.relative_to(folder), path)
                if first != path and not filecmp.cmp(first, path, shallow=False):
                    raise InputError(f"{path}: {first} has the same name and another content; rename one of them", "conflict", value=path)
        return seen

    def __enter__(self) -> Self:
        GlobalHydra.instance().clear()
        initialize_config_dir(str(self._folders[0]), version_base="1.3")
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
            raise InputError(f"{text}: only KEY=VALUE is understood; to empty a key write {key}=null", "invalid", key)
        if key != "sweep":
            check_key(key)
        setting = Setting(key, self._values(override, text), override.is_sweep_override())
        for value in setting.values if key == PROFILES else ():
            if value not in ("null", *(names := self.profiles())):
                raise InputError(f"{key}={value}: no such profile; {nearest(value, names)}", "unknown", key, value)
        for value in setting.values if key == "sweep" or key in BLOCKS else ():
            named = self.parse(f"{key}={value}").value()
            if not isinstance(named, str) or not named:
                raise InputError(
                    f"{key}={value}: must be the name of one YAML in conf/{key}; {nearest(value, self.choices(key))}", "invalid", key, value
                )
        return setting

    def canonical(self, rule: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Return a rule whose values are spelled as the values of axes are, so that the two can be compared."""
        return {
            key: tuple(value for text in texts for value in self._values(self.parse(f"{key}={text}"), text)) for key, texts in rule.items()
        }

    def _values(self, override: Override, text: str) -> tuple[str, ...]:
        value = override.value()
        if isinstance(value, Glob):
            return tuple(value.filter(self.choices(override.key_or_group)))
        if override.is_discrete_sweep():
            with in_one_line(text[:SHOWN]):
                return tuple(override.sweep_string_iterator())
        if override.is_sweep_override():
            raise InputError(
                f"{text}: an interval has no list of values; write range(START,STOP,STEP) or a,b", "invalid", override.key_or_group
            )
        if isinstance(value, str) and "${" in value:
            return (override.get_value_string(),)  # Hydra would escape the braces of an interpolation
        return (override.get_value_element_as_str(),)

    def choices(self, group: str) -> list[str]:
        with in_one_line(group):
            return sorted(GlobalHydra.instance().config_loader().get_group_options(group, overrides=self._search))

    def profiles(self) -> list[str]:
        roots = [folder / PROFILES.replace(".", "/") for folder in self._folders]
        return sorted(path.relative_to(root).with_suffix("").as_posix() for root in roots for path in root.rglob("*.yaml"))

    def read_sweep(self, name: str) -> Any:
        """Return the sweep file alone, unresolved: its interpolations belong to the trials."""
        with in_one_line(f"sweep={name}"):
            found = self._by_hydra([f"+sweep={name}"]).get("sweep")
            raw = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
        check_plain(raw, f"sweep={name}")
        return raw

    def compose(self, settings: Sequence[tuple[str, str]], names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return one trial's document, or some blocks alone. Of several settings of one key the last counts. Raises InputError."""
        composed, choices = self._compose(settings)
        for group in ("model", "task"):
            if names is None and choices[group] is None:
                raise InputError(f"no {group} was chosen: add {group}=NAME; {nearest('', self.choices(group))}", "missing", group)
        with in_one_line(_files(choices)):
            return resolved_document(composed if names is None else OmegaConf.masked_copy(composed, [*names]))

    def _compose(self, settings: Sequence[tuple[str, str]]) -> Base:
        """Return a separate configuration with the settings applied in Hydra's order: groups, then values.

        Hydra takes far longer than all the rest, so it composes each choice of groups once.
        """
        last: dict[str, str] = {}
        for key, value in settings:
            last.pop(key, None)
            last[key] = value
        groups = {key: value for key, value in last.items() if key in BLOCKS or (key == PROFILES and value != "null")}
        if (chosen := tuple(groups.items())) not in self._bases:
            with in_one_line(_files(groups)):
                found = self._by_hydra([f"{'+analysis/bounds' if key == PROFILES else key}={value}" for key, value in chosen])
                with open_dict(found):
                    self._bases[chosen] = found, found.pop("hydra").runtime.choices
        base, choices = self._bases[chosen]
        composed = copy.deepcopy(base)
        for line in (f"{key}={value}" for key, value in last.items() if key not in groups):
            self._apply(composed, line)
        return composed, choices

    def _by_hydra(self, overrides: Sequence[str]) -> DictConfig:
        with _variables() as asked:  # Hydra itself evaluates what names a file of a group
            composed = compose("config", [*self._search, *overrides], return_hydra_config=True)
        self._bases = dict(self._bases) if asked else self._bases  # a variable may have another value next time
        return composed

    def _apply(self, composed: DictConfig, line: str) -> None:
        """Set one value as Hydra does: ``++key=value`` where the YAML need not write the key, else ``key=value``."""
        override = self.parse(line)
        key = override.key_or_group
        block, _, name = key.partition(".")
        optional = key.startswith(OPEN_KEYS) or key in PLAIN_KEYS or (block in BLOCKS and name in schema_keys(block))
        with in_one_line(line[:SHOWN]):
            try:
                OmegaConf.update(composed, key, override.value(), merge=True, force_add=optional)
            except OmegaConfBaseException as error:
                raise ConfigCompositionException(
                    f"{line[:SHOWN]}: has another form than the value in the YAML; write it in that form"
                ) from error


def resolved_document(composed: DictConfig) -> dict[str, Any]:
    """Return plain data, every interpolation resolved and no value missing; expressions stay where they are stored."""
    with _variables() as asked:
        document: dict[str, Any] = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    for block, keys in document.items():
        check_plain(keys, block)
    if not asked:
        return document
    with _variables(as_written=True):
        written: dict[str, Any] = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    return keep_expressions(document, written)


@contextmanager
def _variables(as_written: bool = False) -> Iterator[set[str]]:
    """Have ``${oc.env:NAME}`` give the value, or its expression where the variable is set. Yields the names of those asked for."""
    asked: set[str] = set()

    def of_variable(name: str = "", *default: Any) -> str | None:
        if name not in os.environ:
            found: str | None = env(name, *default)
            return found
        asked.add(name)
        ASKED.add(name)
        return expression(name) if as_written else os.environ[name]

    OmegaConf.register_new_resolver("oc.env", of_variable, replace=True)
    try:
        yield asked
    finally:
        OmegaConf.register_new_resolver("oc.env", env, replace=True)


def _files(choices: Mapping[str, str | None]) -> str:
    return "a value in the YAML of " + ", ".join(f"{group}={name}" for group, name in choices.items() if group in BLOCKS and name)


@contextmanager
def in_one_line(where: str) -> Iterator[None]:
    """Turn the exceptions of Hydra, OmegaConf and the YAML reader into an InputError, by their type; ``where`` names what is read."""
    try:
        yield
    except InputError:
        raise
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError) as error:
        raise _refusal(error, where) from error


def _refusal(error: Exception, where: str) -> InputError:
    cause = error.__cause__
    if isinstance(error, OverrideParseException):
        detail = next(line for line in error.message.splitlines() if not line.startswith("Error parsing override"))
        told = f"{error.override}: cannot be read ({detail}); write KEY=VALUE, or KEY=\"'VALUE'\" for special characters"
        return InputError(told, value=error.override)
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return InputError(f"{group}={name}: no such {group}; {nearest(name, error.options)}", "unknown", group, name)
    if isinstance(error, ConfigCompositionException) and isinstance(cause, ConfigKeyError | ConfigAttributeError):
        key = str(cause.full_key)
        if key in BLOCKS:
            return InputError(f"no {key} was chosen: add {key}=NAME to the command line", "missing", key)
        block = key.partition(".")[0]
        beside = [str(name) for name in cause.parent_node] if isinstance(cause.parent_node, DictConfig) else []
        ours = schema_keys(block) if block in BLOCKS and key.count(".") == 1 else ()
        return InputError(f"{key}: no such key; {nearest_key(key, [*beside, *ours])}", "unknown", key)
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException) and not str(error):
        return InputError(f"{where}: {_refusal(cause, where)}")
    if isinstance(error, MissingMandatoryValue):
        return InputError(f"{error.full_key}: has no value yet; add {error.full_key}=VALUE", "missing", str(error.full_key))
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return InputError(f"{error.problem_mark.name}, line {error.problem_mark.line + 1}: not valid YAML: {error.problem}")
    told = first_line(error)
    if isinstance(error, HydraException):
        return InputError(told)
    remedy = next((remedy for kind, remedy in REMEDIES.items() if isinstance(error, kind)), "")
    key = getattr(error, "full_key", None) or ""
    return InputError(f"{key or where}: {told}" + (remedy and f"; {remedy}"), key=str(key))
