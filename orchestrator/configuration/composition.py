"""Configuration groups and a command line in, plain trials out.

Hydra composes, and the grammar of overrides is Hydra's too. What a sweep is, which keys there are and how a mistake is worded is ours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composer import PROFILES, Composer, in_one_line, resolved_document
from orchestrator.configuration.config import CAMPAIGN_BLOCKS, CampaignConfig, TaskConfig, parse_block, parse_campaign
from orchestrator.configuration.sweep import SweepFile, applying, combinations, parse_sweep
from orchestrator.contracts import InputError

Progress = Callable[[int, int], None]  # called with the number of trials composed and the number of all
REPLACED_BY = {"system.price_per_hour": "analysis.price_per_hour"}  # keys of a trial that one of `analysis` replaces afterwards
MOST_UNASKED = 1_000  # trials, repeats included, that one command makes without ``--many``: more could be an accident


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

    ``notes`` holds for every document the sweep file's note on it, or nothing.
    """

    name: str
    documents: tuple[dict[str, Any], ...]
    overrides: tuple[str, ...]
    sweep: dict[str, Any] | None
    excluded: int
    notes: tuple[str, ...] = ()


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
        one line for any mistake.
    """
    with Composer(config_dirs) as composer:
        settings = [composer.setting(override) for override in overrides]
        names = [name for setting in settings if setting.key == "sweep" for name in setting.values]
        if len(names) > 1:
            raise InputError(f"sweep={','.join(names)}: one sweep file at a time; run one campaign for each", "conflict", "sweep")
        chosen = names[0] if names else None
        settings = [setting for setting in settings if setting.key != "sweep"]
        for setting in settings:
            if setting.swept and not (multirun or chosen):
                raise InputError(
                    f"{setting.shown}: several values make several trials; add -m, or quote a value that holds a comma",
                    "conflict",
                    setting.key,
                )
        with _of_sweep(chosen):
            raw = composer.read_sweep(chosen) if chosen else None
            sweep = parse_sweep(raw) if chosen else SweepFile()
            axes = {key: composer.setting(f"{key}={text}").values for key, text in sweep.axes.items()}
            exclude = [composer.canonical(rule) for rule in sweep.exclude]
            notes = [note.model_copy(update={"when": composer.canonical(note.when)}) for note in sweep.notes]
            before = [composer.setting(text).plain for text in sweep.settings]
            conditionals = [each.model_copy(update={"when": composer.canonical(each.when)}) for each in sweep.set_when]
            of_conditionals = {text: composer.setting(text).plain for each in conditionals for text in each.settings}
        narrowed = {setting.key: setting.values for setting in settings if setting.swept or setting.key in axes}
        for key in (*axes, *narrowed):
            if key.partition(".")[0] in CAMPAIGN_BLOCKS:
                raise InputError(f"{key}: all trials of a campaign share it; give one value, or run a campaign for each", "conflict", key)
        rows, excluded = combinations(axes, sweep.pair, exclude, narrowed)
        after = [setting.plain for setting in settings if setting.key not in narrowed]
        wanted: list[list[tuple[str, str]]] = []
        with _of_sweep(chosen):
            for row in rows:
                holding = applying(conditionals, dict([*before, *row.items(), *after]), "set_when")
                added = [of_conditionals[text] for each in holding for text in each.settings]
                wanted.append([*before, *added, *row.items(), *after])
            said = tuple("; ".join(note.say for note in applying(notes, row, "notes")) for row in rows)
        if not many:
            _refuse_many(len(wanted))
        documents = []
        for each in wanted:
            documents.append(composer.compose(each))
            if progress:
                progress(len(documents), len(rows))
    if not many:
        repeats = [(document.get("measurement") or {}).get("repeat") for document in documents]
        _refuse_many(sum(max(int(repeat), 1) if isinstance(repeat, int | float) else 1 for repeat in repeats))
    for document in documents:  # interpolations in a YAML file can make them disagree
        for key in CAMPAIGN_BLOCKS:
            if document.get(key) != documents[0].get(key):
                raise InputError(f"{key}: all trials of a campaign share it, but here they disagree; give it one value", "conflict", key)
    name = chosen.replace("/", "-") if chosen else "multirun" if multirun else "single"
    return Composition(name, tuple(documents), tuple(overrides), raw, excluded, said)


@contextmanager
def _of_sweep(name: str | None) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(
            f"sweep {name}: {error}" if name and not str(error).startswith("sweep=") else str(error), error.code, error.key, error.value
        ) from error


def compose_places(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Return the blocks ``cluster``, ``system`` and ``server``, once for each system that a command line names (``system=a,b``).

    Where it names neither a system nor a server there is one document, with ``cluster`` alone.

    Raises
    ------
    InputError
        for a key of another block, or any other mistake.
    """
    with Composer(config_dirs) as composer:
        settings = [composer.setting(override) for override in overrides]
        for setting in settings:
            if setting.key.partition(".")[0] not in ("cluster", "system", "server"):
                raise InputError(
                    f"{setting.key}: a look at hosts takes cluster, system and server keys only; name the systems with system=a,b",
                    "unsupported",
                    setting.key,
                )
        systems = next((setting.values for setting in reversed(settings) if setting.key == "system"), (None,))
        rest = [setting.plain for setting in settings if setting.key != "system"]
        named = systems != (None,) or any(key.partition(".")[0] in ("system", "server") for key, _ in rest)
        kept = ["cluster", "system", "server"] if named else ["cluster"]
        return [composer.compose([*rest, *([("system", system)] if system else [])], kept) for system in systems]


def compose_task(overrides: Sequence[str]) -> TaskConfig:
    """Return the task that ``task=NAME`` and its keys describe. Raises InputError."""
    with Composer() as composer:
        return parse_block(TaskConfig, composer.compose([composer.setting(one).plain for one in overrides], ["task"])["task"])


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
        settings = [composer.setting(override).plain for override in overrides]
        for key, _ in settings:
            if key.partition(".")[0] != "analysis":
                remedy = f"set {REPLACED_BY[key]}" if key in REPLACED_BY else f"another {key} needs a new measurement"
                raise InputError(f"{key}: stored timings are read by analysis keys only; {remedy}", "unsupported", key)
        if any(key == "analysis" for key, _ in settings):
            return parse_campaign(composer.compose(settings, ["analysis"])).analysis
        changed: dict[str, Any] = {"analysis": stored.model_dump(mode="json")}
        for key, text in settings:
            with in_one_line(f"{key}={text}"):
                # Alone: what a campaign has stored, whoever wrote it, is no expression.
                value = resolved_document(OmegaConf.create({"analysis": composer.parse(f"{key}={text}").value()}))["analysis"]
            if key == PROFILES:
                value = composer.compose([(key, text)], ["analysis"])["analysis"]["bounds"]
            inside = changed
            *parents, last = key.split(".")
            for parent in parents:
                inside[parent] = inside[parent] if isinstance(inside.get(parent), dict) else {}
                inside = inside[parent]
            # A mapping adds to the one that is there; but one law or set of bounds replaces another as a whole.
            both = isinstance(value, dict) and isinstance(inside.get(last), dict) and last not in ("tolerance", "together_ms", "bounds")
            inside[last] = {**inside[last], **value} if both else value
        return parse_campaign(changed).analysis


def code_folders(overrides: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the folders that ``code=[DIR]`` names on a command line, and the other overrides. Raises InputError."""
    own = [override for override in overrides if override.partition("=")[0] == "code"]
    with in_one_line("code"):
        folders = [yaml.safe_load(override.partition("=")[2]) for override in own]
    named = tuple(str(folder) for value in folders for folder in (value if isinstance(value, list) else [value]))
    return named, tuple(override for override in overrides if override not in own)


def override_cluster(stored: CampaignConfig, overrides: Sequence[str]) -> CampaignConfig:
    """Return a stored campaign's settings with a new cluster address: the head may have moved since.

    Raises
    ------
    InputError
        for any other key: what is measured is what was stored.
    """
    changed = stored.model_dump(mode="json")
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "cluster.address":
            raise InputError(
                f"{key}: a campaign goes on with its stored settings; of these only cluster.address=HOST:PORT may change",
                "unsupported",
                key,
            )
        changed["cluster"] = {**changed["cluster"], "name": "address", "address": value}
    return parse_campaign(changed)


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(document)))


def _refuse_many(trials: int) -> None:
    if trials > MOST_UNASKED:
        raise InputError(
            f"this makes {trials:,} trials, repeats included: narrow the axes, or add --many if so many are meant",
            "too_large",
            value=trials,
        )
