"""``history FOLDER``: what many campaigns of one sweep keep over time, and where that changes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.line import PLACE, output_folder, verb
from orchestrator.contracts import InputError

if TYPE_CHECKING:
    from orchestrator.history.stored import LeftOut, Stored

# Of so many campaigns that are left out it is said why
SHOWN = 3
# So many others are named
NAMED = 20
ORDERS = ("time", "code")


@verb("history results/vision", "history results/vision --threshold '50 ms' --by code --to reports/vision")
@click.argument("folder", metavar="FOLDER", type=PLACE)
@click.option(
    "--threshold", metavar="TIME", help="a time such as '50 ms' (default: the first campaign's, or the one that most have stored)"
)
@click.option("--sweep", metavar="NAME", help="read only campaigns of this name")
@click.option(
    "--by",
    type=click.Choice(ORDERS),
    default=ORDERS[0],
    metavar="ORDER",
    help="time: a point for each campaign (default); code: a point for each version of the code",
)
@click.option("--to", type=PLACE, metavar="FOLDER", help="write into this folder, not into the one that is read")
def command(folder: Path, threshold: str | None, sweep: str | None, by: str, to: Path | None) -> int:
    """Show how the campaigns of a sweep change over time.

    Read all campaigns below a folder. Show tail quality at one threshold and certified deadlines of each, the noise of
    visits and processes, and change points. Writes history.html and two Parquet files. See docs/history.md.
    """
    from orchestrator.history.series import (
        HISTORY,
        change_rows,
        changes_of,
        history_rows,
        points_of,
        series_of,
        shared_thresholds,
    )
    from orchestrator.history.stored import at_threshold
    from orchestrator.history.tables import changes_table, history_picture, sentences, series_tables, title_of, to_page
    from orchestrator.report.terminal import Terminal
    from orchestrator.storage.files import write_results
    from orchestrator.storage.schema import schema_of
    from orchestrator.storage.stored_form import table_of

    of_code = by == "code"
    stored, left_out = read_campaigns(folder, sweep)
    written_to = output_folder("--to", to, folder, [one.directory for one in stored])
    thresholds = shared_thresholds(stored, threshold)
    rows, lacking = _tried(lambda one: at_threshold(one, thresholds), {one.directory: one for one in stored})
    stored = [one for one in stored if one.directory in rows]
    series = series_of(points_of(stored, list(rows.values()), of_code))
    if not series:
        raise InputError(f"no campaign of {folder} has a trial with a figure: measure one, and report it", "no_data")
    changes, terminal = changes_of(series), Terminal()
    said = [*sentences(series, changes, of_code), *left_out, *_left_out(lacking)]
    tables = [*([changes_table(changes, stored)] if changes else []), *series_tables(series, thresholds, of_code, terminal.fine)]
    title, pictures = title_of(stored), {}
    for one in series:
        model, system, runtime, batch, *end = one.names
        name = ", ".join(filter(None, [one.key.task, model, system, runtime, f"batch {batch}", *end]))
        pictures[name] = history_picture(one, of_code)
    of_points = list(history_rows(series, [one.directory.relative_to(folder).as_posix() for one in stored], thresholds))
    written = {"history": table_of(of_points, schema_of(HISTORY)), "change_points": change_rows(changes)}
    write_results(written_to, written, {"history.html": to_page(title, said, tables, pictures)})
    terminal.prose(title)
    for sentence in said:
        terminal.prose(sentence)
    terminal.line()
    terminal.tables(tables)
    terminal.line(f"history: {written_to / 'history.html'}")
    return 0


def read_campaigns(folder: Path, sweep: str | None) -> tuple[list[Stored], list[str]]:
    """Return the campaigns of one sweep below a folder, in order of time, and in words those that cannot be read.

    Raises
    ------
    InputError
        where there is none, and where there are several sweeps and none is chosen.
    """
    from orchestrator.history.stored import find_campaigns, read_stored, without_copies
    from orchestrator.storage.layout import CAMPAIGN

    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name one that holds campaigns, such as results/vision", "not_found", "FOLDER", folder)
    if (folder / CAMPAIGN).is_file():
        raise InputError(
            f"{folder} is one campaign: name the folder that holds it and others, such as {folder.absolute().parent}",
            "invalid",
            "FOLDER",
            folder,
        )
    readable, wrong = _tried(read_stored, {directory: directory for directory in find_campaigns(folder)})
    names = Counter(one.head.name for one in readable.values())
    found = [one for one in readable.values() if sweep in (None, one.head.name)]
    if not found:
        why = f" ({wrong[0][1]})" if wrong else f" (there are those of {', '.join(sorted(names))})" if names else ""
        what = "no campaign" if sweep is None else f"no campaign of {sweep}"
        raise InputError(f"{folder} holds {what} that can be read{why}: name a folder such as results/vision", "no_data", "FOLDER", folder)
    if sweep is None and len(names) > 1:
        most = shlex.quote(names.most_common(1)[0][0])
        raise InputError(
            f"{folder} holds campaigns of {', '.join(sorted(names))}, and a history is of one: add --sweep {most}", "missing", "--sweep"
        )
    kept, copies = without_copies(sorted(found, key=lambda one: (one.head.created_at, str(one.directory))))
    if not kept:
        raise InputError(
            f"{folder} holds no campaign that can be read ({copies[0][1]}): name a folder such as results/vision",
            "no_data",
            "FOLDER",
            folder,
        )
    again = "deadlines of too few rounds, which this version does not certify: write the tables again with `python -m orchestrator report"
    by_other_code = [(one.directory, f"{again} {shlex.quote(str(one.directory))}`") for one in kept if one.uncertified]
    return kept, [*_left_out(wrong), *_left_out(copies), *_left_out(by_other_code)]


def _tried(work: Callable[[Any], Any], items: Mapping[Path, Any]) -> tuple[dict[Path, Any], list[LeftOut]]:
    """Return what becomes of each folder's item, and why nothing does, where that is an InputError."""
    from orchestrator.analysis.threads import map_in_threads

    def one(item: Any) -> Any:
        try:
            return work(item)
        except InputError as error:
            return error

    done = dict(zip(items, map_in_threads(one, list(items.values())), strict=True))
    wrong = [(folder, str(found)) for folder, found in done.items() if isinstance(found, InputError)]
    return {folder: found for folder, found in done.items() if not isinstance(found, InputError)}, wrong


def _left_out(wrong: Sequence[LeftOut]) -> list[str]:
    """Return in words what is left out: of the first ones why, of others which."""
    said = [f"Left out: {why}" for _, why in wrong[:SHOWN]]
    others = list(dict.fromkeys(str(directory) for directory, _ in wrong[SHOWN:]))
    rest = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
    return [*said, *([f"Left out, too: {', '.join(others[:NAMED])}{rest}"] if others else [])]
