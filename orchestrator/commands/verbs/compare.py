"""``compare A B``: a candidate campaign against a baseline, from stored files alone; ``compare --run A B``: measured in pairs first."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.commands.asked import PairedRun
from orchestrator.commands.line import Line, counted, is_override, split
from orchestrator.commands.parser import LineParser, count, path, share
from orchestrator.commands.shared_options import add_config_dir, add_quiet
from orchestrator.contracts import InputError

SUMMARY = "did the tail get worse from one campaign to another?"
ABOUT = """\
Compare campaign B with baseline A, each a directory or A a file of `export baseline`; --run measures both first.
See docs/compare.md."""
WORDS = "[--run] A B [KEY=VALUE...]"
EXAMPLES = (
    "compare a.json results/latest --gate --markdown b.md",
    "compare --run old_code new_code +sweep=vision --gate",
)
FORMS = ("json", "markdown", "html")
MIN_EFFECT = 0.2
"""A slow-down of all times, as a share, that a gate must be able to find."""
PAIRS = 5
"""Pairs of processes for each trial; with fewer than 3 there is no verdict."""


@dataclass(frozen=True)
class Options:
    """What ``compare`` compares.

    baseline, candidate
        directories or files; with ``run`` both are folders of the directory into which it measures.
    run
        what is measured in pairs first; None compares what is there.
    gate, allow_no_verdict
        whether the exit code says what was found, and whether no verdict passes.
    min_effect
        a slow-down, as a share of all times, that the gate must be able to find.
    by
        settings in which trials that belong together may differ.
    power, full
        whether to say what these repeats would find, and to print every column with its explanation.
    files
        where else the comparison is written, by its form.
    """

    baseline: Path = Path()
    candidate: Path = Path()
    overrides: tuple[str, ...] = ()
    gate: bool = False
    allow_no_verdict: bool = False
    min_effect: float = MIN_EFFECT
    power: bool = False
    files: Mapping[str, Path | None] = field(default_factory=dict)
    run: PairedRun | None = None
    full: bool = False
    by: tuple[str, ...] = ()


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.flag("--run", help="measure A and B first, in pairs of fresh processes")
    parser.option("--pairs", type=count, metavar="N", help="with --run: pairs for each trial (default 5)")
    parser.option("--to", type=path, metavar="FOLDER", help="with --run: where both go; what is begun goes on")
    parser.flag("-m", "--multirun", help="with --run: a,b after a key makes a trial of each")
    add_config_dir(parser)
    add_quiet(parser)
    parser.option("--by", metavar="KEY[,KEY]", help="match trials that differ in these settings alone")
    parser.flag("--gate", help="exit code 0 for pass, 1 for fail, 3 for no verdict")
    parser.flag("--allow-no-verdict", help="with --gate: a trial without a verdict passes")
    parser.option("--min-effect", type=share, metavar="PERCENT", help="with --gate: slow-down it must find (default 20)")
    parser.flag("--power", help="say which change these repeats would find")
    parser.flag("--full", help="print every figure and flag, not the verdicts alone")
    first, *others = FORMS
    in_short = f"write it as {first}; also {', '.join(f'--{form} FILE' for form in others)}"
    for form in FORMS:
        parser.option(f"--{form}", type=path, metavar="FILE", help=in_short if form == first else argparse.SUPPRESS)


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    found = line.options
    run = _read_run(line) if found.run else None
    for option in ("pairs", "to", "multirun", "config_dir", "quiet"):
        if getattr(found, option) not in (False, None, []) and run is None:
            raise InputError(f"--{option.replace('_', '-')} says how --run measures: add --run")
    directories, overrides = ((), ()) if run is not None else split(line, takes_overrides=True)
    if run is None and len(directories) != 2:
        raise InputError(
            f"compare takes a baseline (a results directory or a file of `export baseline`) and the results directory of the candidate; "
            f"{counted(directories)}; see `orchestrator compare --help`"
        )
    for option in ("allow_no_verdict", "min_effect"):
        if getattr(found, option) not in (False, None) and not found.gate:
            raise InputError(f"--{option.replace('_', '-')} says how --gate counts: add --gate")
    return Options(
        baseline=directories[0] if directories else Path(),
        candidate=directories[1] if directories else Path(),
        overrides=overrides,
        gate=found.gate,
        allow_no_verdict=found.allow_no_verdict,
        min_effect=MIN_EFFECT if found.min_effect is None else found.min_effect,
        power=found.power,
        files={form: getattr(found, form) for form in FORMS},
        run=run,
        full=found.full,
        by=tuple(found.by.split(",")) if found.by else (),
    )


def _read_run(line: Line) -> PairedRun:
    """Return what is to be measured. Raises InputError."""
    sides, overrides = line.words[:2], line.words[2:]
    if len(sides) < 2:
        raise InputError(
            f"compare --run takes two sides, {len(sides)} given: each a .yaml of overrides, a folder of code or 'KEY=VALUE ...'"
        )
    for word in overrides:
        if not is_override(word):
            raise InputError(
                f"{word}: after the two sides, compare --run takes KEY=VALUE for both only; put a side with spaces into quotes"
            )
    found = line.options
    return PairedRun((sides[0], sides[1]), overrides, found.pairs or PAIRS, found.to, found.multirun, tuple(found.config_dir), found.quiet)


def execute(options: Options) -> int:
    """Compare. Returns the exit code: with ``--gate`` what the gate says, else 1 where a trial of ``--run`` is not done, and 0."""
    from orchestrator.commands.compare import command_of, compare_campaigns, tell
    from orchestrator.commands.outputs import check_outputs
    from orchestrator.report.text import printable

    outputs = {f"--{form}": file for form, file in options.files.items() if file is not None}
    check_outputs(outputs, _campaigns(options), _files_read(options), options.overrides)
    baseline, candidate = options.baseline, options.candidate
    broken: tuple[str, ...] = ()
    if options.run is not None:
        from orchestrator.commands.paired_run import measure_pairs

        measured = measure_pairs(options.run, options.gate)
        if measured.ended is not None:
            return measured.ended
        baseline, candidate, broken = measured.folder / "a", measured.folder / "b", measured.broken
    min_effect = options.min_effect if options.gate else None
    comparison = compare_campaigns(baseline, candidate, options.overrides, options.power, min_effect, options.by)
    tell(
        comparison,
        options.allow_no_verdict,
        options.power,
        options.files,
        options.full,
        places=(baseline, candidate),
        command=command_of(candidate),
        command_before=command_of(baseline),
    )
    for told in broken:
        print(printable(f"error: {told}"), file=sys.stderr)  # noqa: T201
    return comparison.exit_code(options.allow_no_verdict) if options.gate else int(bool(broken))


def _campaigns(options: Options) -> list[Path]:
    """Return the directories of the two campaigns; with ``--run`` these may yet have to be measured."""
    if options.run is not None:
        return [] if options.run.folder is None else [options.run.folder / side for side in ("a", "b")]
    return [place for place in (options.baseline, options.candidate) if not place.is_file()]


def _files_read(options: Options) -> list[Path]:
    if options.run is not None:
        return [Path(side) for side in options.run.sides if "=" not in side]
    return [place for place in (options.baseline, options.candidate) if place.is_file()]
