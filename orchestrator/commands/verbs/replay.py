"""``replay DIR [TRIAL] --rate R``: what tail quality would be if samples arrived by a schedule, from stored closed-loop times."""

import argparse

from orchestrator.commands.asked import Replaying
from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, count, listed, number, path
from orchestrator.contracts import InputError

SUMMARY = "tail quality under arrivals, from stored times alone"
ABOUT = """\
Play stored closed-loop times back under arrivals that they never met: see docs/load.md.
Writes DIR/replay.parquet, and for several rates DIR/replay.svg."""
WORDS = "DIR [TRIAL] [analysis.KEY=...]"
EXAMPLES = (
    "replay results/latest --rate 10,20 --deadline '50 ms'",
    "replay results/latest TRIAL --rate 30 --late-in 3/30",
)
LAWS = ("periodic", "poisson", "gamma", "trace")
POLICIES = ("queue", "newest", "skip_late")
MOST_PER_S = 1e6
LARGEST_SEED = 2**63 - 1


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option(
        "--load",
        choices=LAWS,
        default="poisson",
        metavar="LAW",
        help="poisson (if none is given), periodic, gamma or trace",
    )
    parser.option("--rate", type=_rates, metavar="R,R", help="samples a second; without it, a trace's own")
    parser.option("--group", type=count, metavar="N", help="samples that arrive at once: so many cameras")
    parser.option("--burstiness", type=_positive, metavar="X", help="with gamma: 1 is poisson, below 1 comes in bursts")
    parser.option("--trace", type=path, metavar="FILE", help="with trace: recorded arrival times, CSV or JSONL")
    parser.option("--seed", type=_seed, metavar="N", help="another seed draws other arrivals and orders")
    parser.option(
        "--policy",
        choices=POLICIES,
        default="queue",
        metavar="RULE",
        help="queue (if none is given), newest or skip_late",
    )
    parser.option("--queue-limit", type=count, metavar="N", help="an arrival that finds so many waiting is dropped")
    parser.option("--deadline", metavar="TIME", help="such as '50 ms'; without it, the primary threshold")
    parser.option("--fallback", metavar="TRIAL", help="a fast trial that answers beside where this one is late")
    parser.option("--late-in", type=_window, metavar="K/N", help="count windows of N answers with at least K late")
    parser.option("--error-after", metavar="TIME", help="count how often no answer is on time for longer")
    parser.option("--to", type=path, metavar="FOLDER", help="write there, not into DIR")


def read(line: Line) -> Replaying:
    """Return what the command line says. Raises InputError."""
    words, overrides = split(line, takes_overrides=True)
    if not 1 <= len(words) <= 2:
        raise InputError(f"replay takes a results directory and a trial, {counted(words)}: such as `replay results/latest --rate 20`")
    found = line.options
    if (found.load == "trace") != (found.trace is not None):
        raise InputError("--trace FILE and --load trace go together: give both, or neither")
    if found.rate is None and found.trace is None:
        raise InputError("replay needs --rate R: how many samples arrive in a second, such as --rate 20 or --rate 10,20,40")
    if found.burstiness is not None and found.load != "gamma":
        raise InputError(f"--burstiness {found.burstiness:g}: is of --load gamma; leave it out, or choose that law")
    return Replaying(
        directory=words[0],
        trial=str(words[1]) if len(words) == 2 else None,
        overrides=overrides,
        law=found.load,
        rates_per_s=found.rate or (),
        group=found.group or 1,
        burstiness=found.burstiness or 1.0,
        trace=found.trace,
        seed=found.seed or 0,
        policy=found.policy,
        queue_limit=found.queue_limit,
        deadline=found.deadline,
        fallback=found.fallback,
        late_in=found.late_in,
        error_after=found.error_after,
        to=found.to,
    )


def execute(options: Replaying) -> int:
    """Replay, print and write. Returns the exit code."""
    from orchestrator.commands.replay import replay

    replay(options)
    return 0


def _positive(text: str) -> float:
    if not 1e-3 <= (value := number(text)) <= MOST_PER_S:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: must be a number from 0.001 to {MOST_PER_S:,.0f}")
    return value


def _rates(text: str) -> tuple[float, ...]:
    return tuple(sorted({_positive(one) for one in listed(text)}))


def _seed(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text[:20]) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: must be a whole number from 0 to {LARGEST_SEED:,}")
    return int(text)


def _window(text: str) -> tuple[int, int]:
    late, slash, length = text.partition("/")
    if slash:
        found = count(late), count(length)
        if found[0] <= found[1]:
            return found
    raise argparse.ArgumentTypeError(f"{text[:40]!r}: must be K/N with K at most N, such as 3/30")
