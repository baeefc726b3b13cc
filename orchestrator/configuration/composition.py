"""Configuration groups and a command line in, plain trials out. The only module that knows Hydra and OmegaConf.

Hydra composes, and the grammar of overrides is Hydra's too. What a sweep is, which keys there are and how a mistake is told
is ours.
"""

from __future__ import annotations

import copy
import filecmp
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException, UnsupportedValueType
from omegaconf.resolvers.oc import env

from orchestrator.configuration.config import MOST_REPEATS, AnalysisConfig, CampaignConfig, parse_campaign
from orchestrator.configuration.environment_values import expression, resolved_text
from orchestrator.configuration.kept_expressions import keep_expressions
from orchestrator.configuration.keys import (
    BLOCKS,
    CAMPAIGN_BLOCKS,
    check_axis,
    check_key,
    is_group,
    is_schema_key,
    nearest,
    nearest_key,
    schema_keys,
)
from orchestrator.configuration.plain_values import DEEPEST, PLAIN, check_plain, check_size
from orchestrator.configuration.sweep import Note, SweepFile, combinations, notes_on, parse_sweep
from orchestrator.contracts import InputError

Progress = Callable[[int, int], None]
"""Called with the number of trials composed and the number of all."""


MOST_UNASKED = 1_000
"""So many trials, repeats included, may come of one command without being asked for: nobody means a thousand by accident."""
MOST_VALUES = 100_000
SHOWN = 80
"""Characters of a value that a message repeats."""


@dataclass(frozen=True)
class Composition:
    """All trials of one command, composed and resolved.

    name
        of the sweep, or ``single`` or ``multirun``.
    documents
        one plain dictionary per trial, repeats not expanded.
    overrides, sweep
        the command line and the sweep file as given.
    excluded
        number of combinations that the sweep's exclusions left out.

    Notes
    -----
        for every document what the sweep file has to say of it, or nothing.
    """

    name: str
    documents: tuple[dict[str, Any], ...]
    overrides: tuple[str, ...]
    sweep: dict[str, Any] | None
    excluded: int
    notes: tuple[str, ...] = ()


Base = tuple[DictConfig, Mapping[str, str | None]]
"""A configuration, and the name of the YAML that was chosen of every group."""


@dataclass(frozen=True)
class Setting:
    """One override that was understood: a key and its values in Hydra's grammar. ``swept`` if it was spelled as a sweep."""

    key: str
    values: tuple[str, ...]
    swept: bool


def compose_trials(
    overrides: Sequence[str],
    multirun: bool = False,
    config_dirs: Sequence[Path] = (),
    progress: Progress | None = None,
    many: bool = False,
) -> Composition:
    """Return every trial that a command line describes.

    Parameters
    ----------
    overrides
        ``key=value`` in Hydra's grammar; ``+sweep=NAME`` chooses a sweep file.
    multirun
        whether ``key=a,b`` makes trials of its own; a sweep file implies it.
    config_dirs
        folders with the user's own groups, searched beside those that are shipped.
    many
        whether more than 1,000 trials are meant, repeats included.

    Raises
    ------
    InputError
        one line for whatever is wrong.
    """
    with Composer(config_dirs) as composer:
        settings = [composer.setting(override) for override in overrides]
        chosen = _chosen_sweep(settings)
        settings = [setting for setting in settings if setting.key != "sweep"]
        raw = composer.read_sweep(chosen) if chosen else None
        _refuse_sweep_without_multirun(settings, multirun or chosen is not None)
        with _named(chosen):
            sweep = parse_sweep(raw) if chosen else SweepFile(axes={})
            axes = {key: composer.setting(f"{key}={text}").values for key, text in sweep.axes.items()}
            exclude = [{key: composer.canonical_values(key, texts) for key, texts in rule.items()} for rule in sweep.exclude]
            notes = [composer.canonical_note(note) for note in sweep.notes]
            before = [_plain(composer.setting(text)) for text in sweep.settings]
        narrowed = {setting.key: setting.values for setting in settings if setting.swept or setting.key in axes}
        for key in (*axes, *narrowed):
            check_axis(key)
        rows, excluded = combinations(axes, sweep.pair, exclude, narrowed)
        after = [_plain(setting) for setting in settings if setting.key not in narrowed]
        wanted = [[*before, *row.items(), *after] for row in rows]
        if not many:
            _refuse_many(dict(each).get("measurement.repeat") for each in wanted)
        documents = []
        for each in wanted:
            documents.append(composer.compose(each))
            if progress:
                progress(len(documents), len(rows))
    if not many:
        _refuse_many(_repeat(document) for document in documents)
    _check_shared(documents)
    name = chosen.replace("/", "-") if chosen else "multirun" if multirun else "single"
    return Composition(name, tuple(documents), tuple(overrides), raw, excluded, tuple(notes_on(notes, row) for row in rows))


def compose_places(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Return the blocks ``cluster`` and ``system``, once for each system that a command line names (``system=a,b``).

    Where it names none there is one document, without ``system``.

    Raises
    ------
    InputError
        for a key of another block, besides whatever is wrong.
    """
    with Composer(config_dirs) as composer:
        settings = [composer.setting(override) for override in overrides]
        for setting in settings:
            if setting.key.partition(".")[0] not in ("cluster", "system"):
                raise InputError(f"{setting.key}: a look at hosts takes cluster and system keys only; name the systems with system=a,b")
        systems = next((setting.values for setting in reversed(settings) if setting.key == "system"), (None,))
        rest = [_plain(setting) for setting in settings if setting.key != "system"]
        named = systems != (None,) or any(key.startswith("system.") for key, _ in rest)
        documents = []
        for system in systems:
            composed, _ = composer._compose([*rest, *([("system", system)] if system else [])])
            with _told_in_one_line():
                documents.append(_resolved(OmegaConf.masked_copy(composed, ["cluster", "system"] if named else ["cluster"])))
        return documents


def override_analysis(stored: AnalysisConfig, overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> AnalysisConfig:
    """Return a stored campaign's analysis settings with overrides applied; ``analysis=NAME`` starts from that YAML instead.

    Raises
    ------
    InputError
        for a key that is no analysis key.
    """
    if not overrides:
        return stored
    with Composer(config_dirs) as composer:
        settings = [_plain(composer.setting(override)) for override in overrides]
        for key, _ in settings:
            if key.partition(".")[0] != "analysis":
                raise InputError(f"{key}: a report takes analysis keys only; another {key} needs a new measurement")
        if any(key == "analysis" for key, _ in settings):
            return parse_campaign({"analysis": composer.analysis(settings)}).analysis
        with _told_in_one_line():
            block = OmegaConf.create({"analysis": stored.model_dump(mode="json")})
            for key, text in settings:
                OmegaConf.update(block, key, composer.parse(f"{key}={text}").value(), force_add=True)
            return parse_campaign(_resolved(block)).analysis


def override_cluster(stored: CampaignConfig, overrides: Sequence[str]) -> CampaignConfig:
    """Return a stored campaign's settings with another place of its cluster: the head may have moved since.

    Raises
    ------
    InputError
        for any other key: what is measured is what was stored.
    """
    changed = stored.model_dump(mode="json")
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "cluster.address":
            raise InputError(f"{key}: a campaign goes on with its stored settings; of these only cluster.address=HOST:PORT may change")
        changed["cluster"] = {**changed["cluster"], "name": "address", "address": value}
    return parse_campaign(changed)


def list_choices(config_dirs: Sequence[Path] = ()) -> dict[str, list[str]]:
    """Return the names of the YAML files of every group."""
    with Composer(config_dirs) as composer:
        return {group: composer.choices(group) for group in (*BLOCKS, "sweep")}


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(document)))


def shipped_folder() -> Path:
    """Return the folder of the shipped groups: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


class BoundedFiles(FileConfigSource):
    """A folder of the user's own YAML files, none of which may come to more than anybody writes by hand."""

    @staticmethod
    def scheme() -> str:
        """Return what stands before ``://`` in Hydra's search path."""
        return "bounded"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file, after a look at its size."""
        path = Path(self.path, self._normalize_file_name(config_path))
        if path.is_file():
            check_size(path.read_text(encoding="utf-8"), str(path))
        return super().load_config(config_path)


class Composer:
    """Hydra, initialised once, with the shipped groups and the user's own."""

    def __init__(self, config_dirs: Sequence[Path] = ()) -> None:
        self._parsed: dict[str, Override] = {}
        self._bases: dict[tuple[tuple[str, str], ...], Base] = {}
        self._folders = [_existing_folder(folder) for folder in config_dirs]
        _refuse_shadowed_files([shipped_folder(), *self._folders])
        Plugins.instance().register(BoundedFiles)
        urls = ",".join(QuotedString(f"{BoundedFiles.scheme()}://{folder}", Quote.single).with_quotes() for folder in self._folders)
        self._search = [f"hydra.searchpath=[{urls}]"] if urls else []
        self._parser = OverridesParser.create()

    def __enter__(self) -> Composer:
        GlobalHydra.instance().clear()
        initialize_config_dir(str(shipped_folder()), version_base="1.3")
        return self

    def __exit__(self, *exception: object) -> None:
        GlobalHydra.instance().clear()

    def parse(self, text: str) -> Override:
        """Return one override as Hydra's grammar reads it."""
        if text not in self._parsed:
            with _told_in_one_line(text[:SHOWN]):
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

    def canonical_values(self, key: str, texts: Sequence[str]) -> tuple[str, ...]:
        """Return values spelled as the values of an axis are, so that the two can be compared."""
        return tuple(value for text in texts for value in self._values(self.parse(f"{key}={text}"), text))

    def _values(self, override: Override, text: str) -> tuple[str, ...]:
        value = override.value()
        if isinstance(value, Glob):
            return tuple(value.filter(self.choices(override.key_or_group)))
        if override.is_discrete_sweep():
            with _told_in_one_line():
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
                advice = nearest(value, self.choices(setting.key))
                raise InputError(f"{setting.key}={value}: must be the name of one YAML in conf/{setting.key}; {advice}")

    def choices(self, group: str) -> list[str]:
        """Return the names of the YAML files of one group."""
        with _told_in_one_line():
            return sorted(GlobalHydra.instance().config_loader().get_group_options(group, overrides=self._search))

    def read_sweep(self, name: str) -> Any:
        """Return the sweep file alone, unresolved: its interpolations belong to the trials."""
        with _told_in_one_line(f"sweep={name}"):
            found = self._by_hydra([f"+sweep={name}"], f"sweep={name}").get("sweep")
            raw = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
        with _named(name):
            check_plain(raw)
        return raw

    def compose(self, settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return one trial's document. Of several settings of one key the last counts. Raises InputError."""
        composed, choices = self._compose(settings)
        for group in ("model", "task"):
            if choices[group] is None:
                raise InputError(f"no {group} was chosen: add {group}=NAME; {nearest('', self.choices(group))}")
        with _told_in_one_line(_files(choices)):
            return _resolved(composed)

    def analysis(self, settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return the analysis block alone. Raises InputError."""
        composed, _ = self._compose(settings)
        with _told_in_one_line():
            return _resolved(OmegaConf.masked_copy(composed, ["analysis"]))["analysis"]  # type: ignore[no-any-return]

    def _compose(self, settings: Sequence[tuple[str, str]]) -> Base:
        """Return a configuration of its own with the settings applied, in the order that Hydra applies them: groups, then values."""
        last: dict[str, str] = {}
        for key, value in settings:
            last.pop(key, None)
            last[key] = value
        base, choices = self._base(tuple((key, value) for key, value in last.items() if is_group(key)))
        with _told_in_one_line(_files(choices)):
            composed = copy.deepcopy(base)
        for key, value in last.items():
            if not is_group(key):
                self._apply(composed, key, value)
        return composed, choices

    def _base(self, groups: tuple[tuple[str, str], ...]) -> Base:
        """Return what the groups alone compose to. Hydra takes far longer than all the rest, so it composes each choice once."""
        if groups not in self._bases:
            with _told_in_one_line(_files(dict(groups))):
                composed = self._by_hydra([f"{group}={name}" for group, name in groups], _files(dict(groups)))
                with open_dict(composed):
                    choices = composed.pop("hydra").runtime.choices
                self._bases[groups] = composed, choices
        return self._bases[groups]

    def _by_hydra(self, overrides: Sequence[str], where: str) -> DictConfig:
        try:
            return compose("config", [*self._search, *overrides], return_hydra_config=True)
        except (AttributeError, KeyError) as error:  # of PyYAML, which takes what an explicit tag says for granted
            raise InputError(f"{where}: a YAML tag such as !!bool or !!timestamp stands before what is none; leave it out") from error

    def _apply(self, composed: DictConfig, key: str, text: str) -> None:
        """Set one value as Hydra does: ``++key=value`` where the YAML need not write the key, else ``key=value``."""
        line = f"{key}={text}"
        value = self.parse(line).value()
        with _told_in_one_line(line[:SHOWN]):
            try:
                OmegaConf.update(composed, key, value, merge=True, force_add=is_schema_key(key))
            except OmegaConfBaseException as error:
                raise ConfigCompositionException(
                    f"{line[:SHOWN]}: is of another form than what the YAML holds; write it in that form"
                ) from error


def _resolved(composed: DictConfig) -> dict[str, Any]:
    """Return plain data, every interpolation resolved and no value missing."""
    with _environment(expressed=False) as asked:
        document: dict[str, Any] = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    check_plain(document)
    if not asked:
        return document
    with _environment(expressed=True):
        written: dict[str, Any] = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    return keep_expressions(document, written, resolved_text)


@contextmanager
def _environment(expressed: bool) -> Iterator[set[str]]:
    """Have ``${oc.env:NAME}`` give the value, or its expression where the variable is set. Yields the names of those asked for."""
    asked: set[str] = set()

    def of_variable(name: str, *default: Any) -> str | None:
        if name not in os.environ:
            found: str | None = env(name, *default)
            return found
        asked.add(name)
        return expression(name) if expressed else os.environ[name]

    OmegaConf.register_new_resolver("oc.env", of_variable, replace=True)
    try:
        yield asked
    finally:
        OmegaConf.register_new_resolver("oc.env", env, replace=True)


def _files(choices: Mapping[str, str | None]) -> str:
    """Return how a mistake says that it is in one of the chosen files."""
    return "a value in the YAML of " + ", ".join(f"{group}={name}" for group, name in choices.items() if is_group(group) and name)


@contextmanager
def _named(sweep: str | None) -> Iterator[None]:
    """Say which sweep file a mistake is in."""
    try:
        yield
    except InputError as error:
        raise InputError(f"sweep {sweep}: {error}") from error


def _chosen_sweep(settings: Sequence[Setting]) -> str | None:
    chosen = [value for setting in settings if setting.key == "sweep" for value in setting.values]
    if len(chosen) > 1:
        raise InputError(f"sweep={','.join(chosen)}: one sweep file at a time; run one campaign for each")
    return chosen[0] if chosen else None


def _refuse_many(repeats: Iterable[object]) -> None:
    """Refuse more trials than anybody means by accident. Repeats that are not known yet, or are no number, count as one."""
    trials = sum(_counted(repeat) for repeat in repeats)
    if trials > MOST_UNASKED:
        raise InputError(f"this makes {trials:,} trials, repeats included: narrow the axes, or add --many if so many are meant")


def _counted(repeat: object) -> int:
    try:
        return min(max(1, int(float(str(repeat)))), MOST_REPEATS)
    except (OverflowError, ValueError):
        return 1


def _repeat(document: Mapping[str, Any]) -> object:
    block = document.get("measurement")
    return block.get("repeat") if isinstance(block, Mapping) else None


def _check_shared(documents: Sequence[Mapping[str, Any]]) -> None:
    """Refuse trials that do not agree on what a campaign has once, as a YAML file with interpolations may make them."""
    for document in documents[1:]:
        for key in CAMPAIGN_BLOCKS:
            if document.get(key) != documents[0].get(key):
                raise InputError(f"{key}: all trials of a campaign share it, but here they disagree; give it one value")


def _refuse_sweep_without_multirun(settings: Sequence[Setting], allowed: bool) -> None:
    for setting in settings:
        if setting.swept and not allowed:
            raise InputError(f"{_shown(setting)}: several values make several trials; add -m, or quote a value that holds a comma")


def _plain(setting: Setting) -> tuple[str, str]:
    if setting.swept:
        raise InputError(f"{_shown(setting)}: one value is wanted here; several belong into the axes of a sweep")
    return setting.key, setting.values[0]


def _shown(setting: Setting) -> str:
    return f"{setting.key}={','.join(setting.values)}"


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
                first = seen.setdefault(path.relative_to(folder), path)
                if not filecmp.cmp(first, path, shallow=False):
                    raise InputError(f"{path}: {first} has the same name and another content; rename one of them")


@contextmanager
def _told_in_one_line(where: str = "a value") -> Iterator[None]:
    """Turn the exceptions of Hydra, OmegaConf and the YAML reader into an InputError, by their type.

    ``where`` names what is read. None of them says where a value was that nests deeper than Python's stack.
    """
    try:
        yield
    except InputError:
        raise
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError) as error:
        told = _explain(error, where).encode(errors="backslashreplace").decode()  # half of a surrogate pair cannot be printed
        raise InputError(told) from error
    except RecursionError as error:
        raise InputError(f"{where}: is nested too deeply, or inside itself; a value may be nested {DEEPEST} deep") from error


def _explain(error: Exception, where: str) -> str:
    cause = error.__cause__
    if isinstance(error, OverrideParseException):
        detail = next(line for line in error.message.splitlines() if not line.startswith("Error parsing override"))
        return f"{error.override}: cannot be read ({detail}); write KEY=VALUE, or KEY=\"'VALUE'\" for special characters"
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"{group}={name}: no such {group}; {nearest(name, error.options)}"
    if isinstance(error, ConfigCompositionException) and isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _explain_unknown_key(str(cause.full_key), cause)
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException) and not str(error):
        return f"{where}: {_explain(cause, where)}"
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key}: has no value yet; add {error.full_key}=VALUE"
    if isinstance(error, UnsupportedValueType):
        return f"{error.full_key}: {_first_line(error)}; write {PLAIN}"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {_first_line(error)}"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: not valid YAML: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"{where}: is not UTF-8 text: {error}; save the file as UTF-8"
    return _first_line(error) if isinstance(error, HydraException | OmegaConfBaseException) else f"{where}: {_first_line(error)}"


def _explain_unknown_key(key: str, cause: OmegaConfBaseException) -> str:
    if key in BLOCKS:
        return f"no {key} was chosen: add {key}=NAME to the command line"
    block, _, _ = key.partition(".")
    parent = cause.parent_node
    beside = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    ours = schema_keys(block) if block in BLOCKS and key.count(".") == 1 else ()
    return f"{key}: no such key; {nearest_key(key, [*beside, *ours])}"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
