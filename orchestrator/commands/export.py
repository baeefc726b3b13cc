"""``export DIR --to FOLDER``: figures and timings for other programs; ``export baseline FILE DIR``: a baseline for ``compare``."""

from pathlib import Path

import click

from orchestrator.commands.line import PLACE, among, check_outputs, flag, output_folder, places, verb
from orchestrator.contracts import InputError
from orchestrator.report.text import printable

FORMATS = ("csv", "parquet", "latex", "mlflow")
USAGE = "write `export DIR --to FOLDER --format csv`, or `export baseline FILE DIR`"


@verb("export results/latest --to figures --format csv,latex", "export baseline baseline.json results/latest")
@places("{DIR --to FOLDER | baseline [--add] FILE DIR} [analysis.KEY=VALUE...]", most=3)
@click.option("--to", type=PLACE, metavar="FOLDER", help="write into this folder, which may exist")
@click.option("--format", "formats", type=among(*FORMATS), metavar="FORMATS", help=f"one or more of {', '.join(FORMATS)} (default csv)")
@click.option("--baseline", type=PLACE, metavar="FILE", help="another way to write `export baseline FILE DIR`")
@flag("--add", help="add the campaign to an existing baseline; with 3 or more, it shows how campaigns vary")
def command(
    found: tuple[Path, ...],
    overrides: tuple[str, ...],
    to: Path | None,
    formats: tuple[str, ...] | None,
    baseline: Path | None,
    add: bool,
) -> int:
    """Write figures and timings for other programs, or a baseline file.

    A baseline is a small file that `compare` takes in place of its campaign. See docs/export.md.
    """
    if baseline is None and len(found) == 3 and str(found[0]) == "baseline":
        baseline, found = found[1], found[2:]
    if add and (baseline is None or overrides):
        raise InputError(
            "--add adds a campaign to a baseline, at the thresholds that it has: write `export baseline --add FILE DIR`", "missing", "FILE"
        )
    if len(found) == 1 and to is not None and baseline is None:
        _export_files(found[0], overrides, to, formats or ("csv",))
    elif len(found) == 1 and to is None and baseline is not None:
        _export_baseline(found[0], overrides, baseline, add)
    else:
        raise InputError(f"export takes one results directory, and where to write it: {USAGE}", "missing", "DIR")
    return 0


def _export_files(directory: Path, overrides: tuple[str, ...], to: Path, formats: tuple[str, ...]) -> None:
    import pyarrow as pa

    from orchestrator.analysis.campaign_analysis import analyse
    from orchestrator.analysis.python_interface import Results
    from orchestrator.commands.reading import opened
    from orchestrator.exchange.export import export_to_mlflow, to_csv, write_tidy
    from orchestrator.exchange.latex import latex_tables
    from orchestrator.storage.files import write_text

    campaign, analysis = opened(directory, overrides)
    folder = output_folder("--to", to, to, [campaign.directory])
    if "parquet" in formats:
        write_tidy(campaign, folder / "timings.parquet")
    if set(formats) - {"parquet"}:
        results = analyse(campaign, analysis)
    if "csv" in formats:
        trials, records = Results(campaign.directory).trials(), campaign.trials()
        where_and_when = {
            "host": [", ".join(dict.fromkeys(process.host for process in record.processes)) or None for record in records],
            "started_at": [record.started_at and record.started_at.isoformat() for record in records],
            "ended_at": [record.ended_at and record.ended_at.isoformat() for record in records],
            "data_digest": [record.digests.get("data") for record in records],
        }
        for name, values in where_and_when.items():
            trials = trials.append_column(name, pa.array(values, pa.string()))
        for name, table in {"trials": trials, **results.tables}.items():
            if table.num_rows or name == "trials":
                write_text(folder / f"{name}.csv", to_csv(table))
    if "latex" in formats:
        for name, text in latex_tables(results):
            write_text(folder / f"{name}.tex", text)
    if "mlflow" in formats:
        export_to_mlflow(results, folder)
    print(printable(f"exported: {folder}"))  # noqa: T201


def _export_baseline(directory: Path, overrides: tuple[str, ...], path: Path, add: bool) -> None:
    """Write the file that ``compare`` takes in the place of a campaign, or ``add`` the campaign to one that is there."""
    from orchestrator.commands.reading import opened
    from orchestrator.compare.baseline import read_baseline
    from orchestrator.compare.sides import add_to_baseline, write_baseline

    campaign, analysis = opened(directory, overrides)
    check_outputs({"baseline": path}, [campaign.directory])
    if add:
        if not path.exists():
            raise InputError(
                f"baseline {path}: there is no such file to add to; begin one with `export baseline {path} {directory}`",
                "not_found",
                "FILE",
                path,
            )
        print(printable(f"baseline: {path} ({len(add_to_baseline(campaign, path).campaigns)} campaigns)"))  # noqa: T201
        return
    if path.exists():
        try:
            read_baseline(path)
        except InputError as error:
            message = f"baseline {path}: exists and is no baseline, so it is not replaced ({error}): name another file"
            raise InputError(message) from error
    write_baseline(campaign, analysis, path)
    print(printable(f"baseline: {path}"))  # noqa: T201
