"""Does the gate keep quiet where nothing changed, and find what did? Real processes of a model that only sleeps, measured in pairs.

    python benchmarks/gate.py [--comparisons 20] [--directory DIR] [--only alike] [--co-runner]

Every comparison is `compare --run` of two systems, one core and all cores, each side in 5 processes of a few seconds: two pairs of trials,
two verdicts. With `--directory` the benchmark goes on where it was interrupted. `--co-runner` has another process take one core for times
drawn between 1 and 20 s, and leave it for as long.

self: a campaign compared with itself has no verdict, and a single pair has none.
alike: of 40 pairs of trials of equal settings at most 4 have a verdict, worse or better (5 % of the comparisons are nominal).
slower: of 40 pairs of which one trial sleeps 10 % longer at least 36 have the verdict worse.
code: code that sleeps 10 % longer on one core alone is found there, and nowhere else.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.compare.campaigns import UNDECIDED, Comparison, compare
from orchestrator.storage.reader import open_campaign

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
SLEEP = "time.sleep(self._sleep_s)"
SLOWER_ON_ONE_CORE = "time.sleep(self._sleep_s * (1.1 if len(os.sched_getaffinity(0)) == 1 else 1.0))"
# Where quality moves when the model gets slower; beside a co-runner the slowest 5 % of the times
# are the co-runner's.
PRIMARY = "p75"
PAIRS = 5
COMPARISONS = 20
# Shares of the pairs.
MOST_VERDICTS, FEWEST_FOUND = 4 / 40, 36 / 40
CO_RUNNER = """
import random, time
while True:
    until = time.monotonic() + random.uniform(1, 20)
    while time.monotonic() < until:
        pass
    time.sleep(random.uniform(1, 20))
"""


def measure(folder: Path, a: str, b: str, pairs: int = PAIRS, rounds: int = 20) -> Comparison:
    """Measure two sides in pairs, or what is left of them, and compare."""
    words = [
        "compare", "--run", a, b, "-m", "--quiet", "--config-dir", str(SUPPORT / "conf"), "--pairs", str(pairs), "--to", str(folder),
        "task=numbers", "model=echo", "system=cpu_1core,cpu_all",
        f"analysis.primary={PRIMARY}", "measurement.rule=rounds", f"measurement.min_rounds={rounds}", f"measurement.max_rounds={rounds}",
    ]  # fmt: skip
    if not (folder / "b" / "report.md").exists():
        done = subprocess.run([sys.executable, "-m", "orchestrator", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{folder}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return compared(folder / "a", folder / "b")


def compared(before: Path, after: Path) -> Comparison:
    campaign = open_campaign(before)
    analysis = campaign.record.config.analysis.model_copy(update={"primary": PRIMARY})
    return compare(campaign, open_campaign(after), analysis, power=True)


def told(comparison: Comparison) -> str:
    found = []
    for row in comparison.rows:
        verdict = row.verdict
        figures = "" if verdict is None else f" {verdict.found.difference:+.3f}, p {verdict.p_value:.3f}"
        found.append(f"{row.trial.system.name} {row.outcome}{figures}")
    return "; ".join(found)


def sleeping(ms: float) -> str:
    """Return a side whose model sleeps so long."""
    return f"code=[{SUPPORT / 'code'}] model.sleep_ms={ms}"


def against_itself(folder: Path) -> bool:
    unknown = measure(folder / "one", sleeping(2), sleeping(2), pairs=1)
    same = compared(folder / "one" / "a", folder / "one" / "a")
    print(f"self: itself exit code {same.exit_code()}: {told(same)}")
    print(f"self: 1 pair exit code {unknown.exit_code()}: {told(unknown)}")
    return same.exit_code() == unknown.exit_code() == UNDECIDED


def verdicts(folder: Path, name: str, ms: float, comparisons: int) -> Counter[str]:
    """Compare a model that sleeps 2 ms with one that sleeps ``ms``, and count what came out, by trial."""
    counted: Counter[str] = Counter()
    for number in range(comparisons):
        found = measure(folder / f"{name}-{number}", sleeping(2), sleeping(ms))
        counted.update(row.outcome for row in found.rows)
        print(f"{name} {number}: {told(found)}", flush=True)
    print(f"{name}: of {counted.total()} pairs {', '.join(f'{count} {outcome}' for outcome, count in counted.most_common())}")
    return counted


def alike(folder: Path, comparisons: int) -> bool:
    found = verdicts(folder, "alike", 2, comparisons)
    return found["worse"] + found["better"] <= MOST_VERDICTS * found.total()


def slower(folder: Path, comparisons: int) -> bool:
    found = verdicts(folder, "slower", 2.2, comparisons)
    return found["worse"] >= FEWEST_FOUND * found.total()


def slower_code(folder: Path) -> bool:
    code = folder / "slower_code"
    code.mkdir(exist_ok=True)
    text = (SUPPORT / "code" / "null_targets.py").read_text()
    if SLEEP not in text:
        raise SystemExit("the null model no longer sleeps as this program thinks")
    (code / "null_targets.py").write_text(text.replace(SLEEP, SLOWER_ON_ONE_CORE))
    found = measure(folder / "code", sleeping(2), f"code=[{code}] model.sleep_ms=2")
    print(f"code: {told(found)}")
    return [row.trial.system.name for row in found.rows if row.outcome == "worse"] == ["cpu_1core"]


@contextmanager
def co_runner(wanted: bool) -> Iterator[None]:
    """Have another process come and go beside what is measured."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", CO_RUNNER])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=COMPARISONS, help="comparisons of each of the questions alike and slower")
    parser.add_argument("--directory", type=Path, help="keep the campaigns here, and go on with those that are there")
    parser.add_argument("--only", choices=["self", "alike", "slower", "code"])
    parser.add_argument("--co-runner", action="store_true", help="have another process come and go beside them")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the co-runner ends, too
    with co_runner(options.co_runner), tempfile.TemporaryDirectory() as scratch:
        folder = options.directory or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        questions = {
            "self": lambda: against_itself(folder),
            "alike": lambda: alike(folder, options.comparisons),
            "slower": lambda: slower(folder, options.comparisons),
            "code": lambda: slower_code(folder),
        }
        answers = {name: ask() for name, ask in questions.items() if options.only in (None, name)}
    print(", ".join(f"{name} {'holds' if held else 'missed'}" for name, held in answers.items()))
    return 0 if all(answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
