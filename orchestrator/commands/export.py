"""``export DIR --to FOLDER``: figures and timings for other programs; ``export baseline FILE DIR``: what ``compare`` takes for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from orchestrator.analysis.results import Results, analyse
from orchestrator.commands.arguments import Arguments
from orchestrator.commands.folders import make_folder, refuse_campaign_folder
from orchestrator.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.export.csv_tables import to_csv
from orchestrator.export.latex import latex_tables
from orchestrator.export.tidy import write_tidy
from orchestrator.export.to_mlflow import export_to_mlflow
from orchestrator.report.printable import printable
from orchestrator.storage.atomic import write_text
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.results import Results as Stored

FORMATS = ("csv", "parquet", "latex", "mlflow")
USAGE = "write `export DIR --to FOLDER --format csv`, or `export baseline FILE DIR`"


def execute(arguments: Arguments) -> int:
    """Export one campaign. Returns the exit code."""
    if (baseline := _baseline_words(arguments)) is not None:
        _write_baseline(*baseline, arguments)
        return 0
    if len(arguments.directories) != 1:
        raise InputError(f"export takes one results directory, {len(arguments.directories)} were given: {USAGE}")
    if arguments.to is None:
        raise InputError(f"export needs the folder to write into: {USAGE}")
    formats = arguments.format.split(",")
    if unknown := [name for name in formats if name not in FORMATS]:
        raise InputError(f"--format {unknown[0]}: there is no such format; choose of {', '.join(FORMATS)}")
    if arguments.overrides and formats == ["parquet"]:
        raise InputError(f"{arguments.overrides[0]}: --format parquet holds timings, which no analysis key changes: leave it out")
    campaign = open_campaign(arguments.directories[0])
    refuse_campaign_folder(arguments.to, "--to", arguments.directories)
    folder = make_folder(arguments.to, "--to")
    if "parquet" in formats:
        write_tidy(campaign, folder / "timings.parquet")
    if set(formats) - {"parquet"}:
        results = analyse(campaign, override_analysis(campaign.record.config.analysis, arguments.overrides))
        for name in formats:
            if name in WRITERS:
                WRITERS[name](results, campaign, folder)
    print(printable(f"exported: {folder}"))  # noqa: T201
    return 0


def _csv(results: Results, campaign: Campaign, folder: Path) -> None:
    write_text(folder / "trials.csv", to_csv(_trials(campaign)))
    for name, table in results.tables.items():
        write_text(folder / f"{name}.csv", to_csv(table))


def _trials(campaign: Campaign) -> pa.Table:
    """Return one row per trial, with where and when it was measured and on which data."""
    records = campaign.trials()
    found = {
        "host": [", ".join(dict.fromkeys(process.host for process in record.processes)) or None for record in records],
        "started_at": [record.started_at and record.started_at.isoformat() for record in records],
        "ended_at": [record.ended_at and record.ended_at.isoformat() for record in records],
        "data_digest": [record.digests.get("data") for record in records],
    }
    table = Stored(campaign.directory).trials()
    for name, values in found.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def _latex(results: Results, campaign: Campaign, folder: Path) -> None:
    for name, text in latex_tables(results):
        write_text(folder / f"{name}.tex", text)


def _mlflow(results: Results, campaign: Campaign, folder: Path) -> None:
    export_to_mlflow(results, folder)


WRITERS: dict[str, Callable[[Results, Campaign, Path], None]] = {"csv": _csv, "latex": _latex, "mlflow": _mlflow}


def _baseline_words(arguments: Arguments) -> tuple[Path, Path] | None:
    """Return file and campaign where a baseline is wanted, by either spelling."""
    words = arguments.directories
    if arguments.baseline_file is not None and len(words) == 1:
        return arguments.baseline_file, words[0]
    if len(words) == 3 and str(words[0]) == "baseline":
        return words[1], words[2]
    if arguments.baseline_file is not None:
        raise InputError(f"export --baseline takes one results directory, {len(words)} were given: {USAGE}")
    return None


def _write_baseline(path: Path, directory: Path, arguments: Arguments) -> None:
    from orchestrator.analysis.compare_sides import write_baseline

    campaign = open_campaign(directory)
    refuse_campaign_folder(path, "baseline", [directory])
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"baseline {path} must be a file in a folder that is there: {USAGE}")
    write_baseline(campaign, override_analysis(campaign.record.config.analysis, arguments.overrides), path)
    print(printable(f"baseline: {path}"))  # noqa: T201
