"""``compare A B``: a candidate campaign against a baseline, from stored files alone; ``compare --run A B``: measured in pairs first."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestrator.commands.line import (
    COUNT,
    PLACE,
    Number,
    check_outputs,
    config_dirs,
    flag,
    is_override,
    listed,
    quiet,
    refuse_alone,
    verb,
)
from orchestrator.contracts import InputError
from orchestrator.report.text import printable

# A slow-down of all times, in percent, that a gate must be able to find.
MIN_EFFECT = 20
# Pairs of processes for each trial; with fewer than 3 there is no verdict.
PAIRS = 5
# What the sides of either form are.
OF_RUN = "a .yaml of overrides, a folder of code or 'KEY=VALUE ...'"
OF_FILES = "a results directory, or as A a file of `export baseline`"


@verb(
    "compare a.json results/latest --gate --markdown b.md",
    "compare --run old_code new_code +sweep=vision --gate",
)
@click.argument("words", metavar="[--run] A B [KEY=VALUE...]", nargs=-1)
@flag("--run", help="measure A and B first, in pairs of fresh processes")
@click.option("--pairs", type=COUNT, metavar="N", help=f"with --run: pairs for each trial (default {PAIRS})")
@click.option("--to", type=PLACE, metavar="FOLDER", help="with --run: write both campaigns there, or continue those there")
@flag("-m", "--multirun", help="with --run: KEY=a,b makes one trial with a and one with b")
@config_dirs
@quiet
@click.option("--by", type=listed, metavar="KEY[,KEY]", help="match trials that differ only in these settings")
@flag("--gate", help="exit code 0 for pass, 1 for fail, 3 for no verdict")
@flag("--allow-no-verdict", help="with --gate: a trial without a verdict passes, unless measured apart")
@click.option(
    "--min-effect",
    type=Number(0, min_open=True),
    metavar="PERCENT",
    help="with --gate: slow-down that it must be able to find (default 20)",
)
@flag("--power", help="print the smallest change that these repeats would find")
@flag("--full", help="print every figure and flag, not only the verdicts")
@click.option("--json", type=PLACE, metavar="FILE", help="write all figures, for programs")
@click.option("--markdown", type=PLACE, metavar="FILE", help="write tables, for a pull request")
@click.option("--html", type=PLACE, metavar="FILE", help="write a page")
def command(
    words: tuple[str, ...],
    run: bool,
    pairs: int | None,
    to: Path | None,
    multirun: bool,
    config_dirs: tuple[Path, ...],
    quiet: bool,
    by: tuple[str, ...] | None,
    gate: bool,
    allow_no_verdict: bool,
    min_effect: float | None,
    power: bool,
    full: bool,
    **forms: Path | None,
) -> int:
    """Say whether the tail got worse from one campaign to another.

    Compare campaign B with baseline A. Each is a results directory; A may also be a file of `export baseline`. With
    --run, measure both sides first. See docs/compare.md.
    """
    if not run:
        refuse_alone("--run", pairs=pairs, to=to, multirun=multirun, config_dir=config_dirs, quiet=quiet)
    if not gate:
        refuse_alone("--gate", allow_no_verdict=allow_no_verdict, min_effect=min_effect)
    sides = list(words[:2]) if run else [word for word in words if not is_override(word)]
    overrides = words[2:] if run else tuple(filter(is_override, words))
    if len(sides) != 2 or "" in sides:
        told = f"compare takes two sides, {len(sides)} given ({', '.join(sides[:3])}): each {OF_RUN if run else OF_FILES}"
        raise InputError(f"{told}; see `orchestrator compare --help`")
    if wrong := next((word for word in overrides if not is_override(word)), None):
        raise InputError(
            f"{wrong}: after its two sides, compare --run takes KEY=VALUE alone; put a side with spaces into quotes", "invalid", value=wrong
        )
    files = {form: file for form, file in forms.items() if file is not None}
    folder = (to or Path("results") / "compare" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")).expanduser()
    places = (folder / "a", folder / "b") if run else (Path(sides[0]), Path(sides[1]))
    read = [Path(side) for side in sides if "=" not in side] if run else [place for place in places if place.is_file()]
    check_outputs({f"--{form}": file for form, file in files.items()}, [one for one in places if one not in read], read)
    broken: list[str] = []
    if run:
        from orchestrator.commands.paired_run import measure_pairs
        from orchestrator.storage.reader import open_campaign

        options = [*(["--multirun"] if multirun else []), *(f"--config-dir={path}" for path in config_dirs)]
        if code := measure_pairs(sides, (*overrides, *options, *(["--quiet"] if quiet else [])), pairs or PAIRS, folder, quiet, gate):
            return code
        overrides = ()  # what was given is measured, and stored with each side
        broken = [
            f"side {place.name}: {one.trial_id} {one.state}: {one.reason or 'no reason is stored'}"
            for place in places
            for one in open_campaign(place).record.trials
            if one.state != "done"
        ]
    from orchestrator.compare.campaigns import compare_places
    from orchestrator.compare.documents import tell

    comparison = compare_places(*places, overrides, power=power, min_effect=(min_effect or MIN_EFFECT) / 100 if gate else None, by=by or ())
    tell(comparison, places, files, allow_no_verdict, power, full)
    for told in broken:
        print(printable(f"error: {told}"), file=sys.stderr)  # noqa: T201
    return comparison.exit_code(allow_no_verdict) if gate else int(bool(broken))
