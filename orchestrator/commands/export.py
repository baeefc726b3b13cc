"""``export DIR --to FOLDER``: figures and timings for other programs; ``export baseline FILE DIR``: a baseline for ``compare``."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.python_interface import Results
from orchestrator.commands.outputs import check_outputs
from orchestrator.configuration.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.exchange.csv_and_latex import latex_tables, to_csv
from orchestrator.exchange.tidy import write_tidy
from orchestrator.exchange.to_mlflow import export_to_mlflow
from orchestrator.report.text import printable
from orchestrator.storage.files import make_output_folder, write_text
from orchestrator.storage.layout import refuse_campaign_folder
from orchestrator.storage.reader import Campaign, open_campaign


def export_files(directory: Path, overrides: Sequence[str], to: Path, formats: Sequence[str]) -> None:
    """Write a campaign's figures and timings into the folder ``to``."""
    campaign = open_campaign(directory)
    refuse_campaign_folder(to, "--to", [campaign.directory])
    folder = make_output_folder(to, "--to")
    if "parquet" in formats:
        write_tidy(campaign, folder / "timings.parquet")
    if set(formats) - {"parquet"}:
        results = analyse(campaign, override_analysis(campaign.record.config.analysis, overrides))
        for name in formats:
            if name in WRITERS:
                WRITERS[name](results, campaign, folder)
    print(printable(f"exported: {folder}"))  # noqa: T201


def _csv(results: CampaignAnalysis, campaign: Campaign, folder: Path) -> None:
    write_text(folder / "trials.csv", to_csv(_trials(campaign)))
    for name, table in results.tables.items():
        if table.num_rows:
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
    table = Results(campaign.directory).trials()
    for name, values in found.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def _latex(results: CampaignAnalysis, campaign: Campaign, folder: Path) -> None:
    for name, text in latex_tables(results):
        write_text(folder / f"{name}.tex", text)


def _mlflow(results: CampaignAnalysis, campaign: Campaign, folder: Path) -> None:
    export_to_mlflow(results, folder)


WRITERS: dict[str, Callable[[CampaignAnalysis, Campaign, Path], None]] = {"csv": _csv, "latex": _latex, "mlflow": _mlflow}


def export_baseline(directory: Path, overrides: Sequence[str], path: Path, add: bool = False) -> None:
    """Write the file that ``compare`` takes in the place of a campaign, or ``add`` the campaign to one that is there."""
    from orchestrator.compare.sides import add_to_baseline, write_baseline

    campaign = open_campaign(directory)
    check_outputs({"baseline": path}, [campaign.directory], words=overrides)
    if path.exists() and not add:
        _refuse_another(path)
    if add and not path.exists():
        raise InputError(f"baseline {path}: there is no such file to add to; begin one with `export baseline {path} {directory}`")
    if add:
        print(printable(f"baseline: {path} ({len(add_to_baseline(campaign, path).campaigns)} campaigns)"))  # noqa: T201
        return
    write_baseline(campaign, override_analysis(campaign.record.config.analysis, overrides), path)
    print(printable(f"baseline: {path}"))  # noqa: T201


def _refuse_another(path: Path) -> None:
    """Raise InputError where a file that is no baseline would be replaced by one."""
    from orchestrator.compare.baseline import read_baseline

    try:
        read_baseline(path)
    except InputError as error:
        raise InputError(f"baseline {path}: is there and is no baseline that could be replaced ({error}): name another file") from error
