"""``compare A B``: a candidate campaign against a baseline, from stored files alone; resolves no target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, path, share
from orchestrator.contracts import InputError

SUMMARY = "did the tail get worse from one campaign to another?"
ABOUT = "Compare a candidate campaign B with a baseline A: a results directory, or a file of `export baseline`. See docs/compare.md."
WORDS = "A B [analysis.KEY=VALUE...]"
EXAMPLES = ("compare results/monday results/friday --gate", "compare baseline.json results/latest --gate --markdown comment.md")


FORMS = ("json", "markdown", "html")
MIN_EFFECT = 0.2
"""A slow-down of all times, as a share, that a gate must be able to find."""


@dataclass(frozen=True)
class Options:
    """What ``compare`` compares.

    gate, allow_no_verdict, accept_drift
        whether the exit code says what was found, whether no verdict passes, and whether drift of the machine is taken for none.
    min_effect
        a slow-down, as a share of all times, that the gate must be able to find.
    power
        whether to say what these repeats would find.
    files
        where else the comparison is written, by its form.
    """

    baseline: Path
    candidate: Path
    overrides: tuple[str, ...] = ()
    gate: bool = False
    allow_no_verdict: bool = False
    accept_drift: bool = False
    min_effect: float = MIN_EFFECT
    power: bool = False
    files: Mapping[str, Path | None] = field(default_factory=dict)


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.flag("--gate", help="the exit code says whether B may pass: 0 passed, 1 worse, 3 no verdict")
    parser.flag("--allow-no-verdict", help="with --gate: a trial without a verdict passes, and the output says so")
    parser.flag("--accept-drift", help="with --gate: take it that the machine has not drifted since the baseline's one campaign")
    parser.option("--min-effect", type=share, metavar="PERCENT", help="with --gate: the slow-down it must be able to find (default 20)")
    parser.flag("--power", help="say which change these repeats would find")
    for form in FORMS:
        parser.option(f"--{form}", type=path, metavar="FILE", help=f"write the comparison as {form} too")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    directories, overrides = split(line, takes_overrides=True)
    found = line.options
    if len(directories) != 2:
        raise InputError(
            f"compare takes a baseline (a results directory or a file of `export baseline`) and the results directory of the candidate; "
            f"{counted(directories)}; see `orchestrator compare --help`"
        )
    for option in ("allow_no_verdict", "accept_drift", "min_effect"):
        if getattr(found, option) not in (False, None) and not found.gate:
            raise InputError(f"--{option.replace('_', '-')} says how --gate counts: add --gate")
    return Options(
        baseline=directories[0],
        candidate=directories[1],
        overrides=overrides,
        gate=found.gate,
        allow_no_verdict=found.allow_no_verdict,
        accept_drift=found.accept_drift,
        min_effect=MIN_EFFECT if found.min_effect is None else found.min_effect,
        power=found.power,
        files={form: getattr(found, form) for form in FORMS},
    )


def execute(options: Options) -> int:
    """Compare. Returns the exit code: with ``--gate`` what the gate says, else 0."""
    from orchestrator.commands.compare import compare_campaigns, refuse_no_place, tell

    for file in options.files.values():
        refuse_no_place(file)
    min_effect = options.min_effect if options.gate else None
    comparison = compare_campaigns(options.baseline, options.candidate, options.overrides, options.power, min_effect)
    tell(comparison, options.allow_no_verdict, options.accept_drift, options.power, options.files)
    return comparison.exit_code(options.allow_no_verdict, options.accept_drift) if options.gate else 0
