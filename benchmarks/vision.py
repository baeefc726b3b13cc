"""Does the vision sweep answer on a machine that is not quiet? It is run through the command line, and held to its bars.

    python benchmarks/vision.py [--co-runner] [--directory DIR] [KEY=VALUE...]

`--co-runner` has another process take one core for times drawn between 1 and 20 s, and leave it for as long (that of `benchmarks/gate.py`).
A campaign that is in DIR is judged without being measured again, all but its seconds. Words replace or add to the sweep's.

answered: every trial has settled, or says in minutes what it lacks; those whose quality never moved at the threshold are told apart.
flagged: at most 15 % of the rows of tail_quality.parquet carry a flag.
seconds: under 240, from the start of the command to its end, with loading and report.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import orchestrator
from benchmarks.gate import co_runner

MOST_FLAGGED = 0.15
MOST_SECONDS = 240.0


def measure(directory: Path, words: list[str], beside: bool) -> float:
    """Run the sweep and return the seconds that it took."""
    command = [sys.executable, "-m", "orchestrator", "+sweep=vision", *words, f"results_dir={directory}"]
    with co_runner(beside):
        begin = time.monotonic()
        done = subprocess.run(command, check=False)
        seconds = time.monotonic() - begin
    if done.returncode:
        raise SystemExit(f"{directory}: exit code {done.returncode}")
    return seconds


def judged(directory: Path) -> dict[str, bool]:
    """Print why trials stopped, how well each knows its quality, and which rows are flagged; return which bars hold."""
    results = orchestrator.open(directory)
    trials = results.trials().to_pylist()
    last = {row["trial"]: row for row in results.convergence().to_pylist()}
    for trial in trials:
        check = last[trial["trial"]]
        known = f"{check['quality_mean']:.3f} +- {check['half_width']:.3f} (wanted {check['half_width_bound']:.3f})"
        print(f"{trial['model']} {trial['system']} {trial['runtime']}: {known} after {check['rounds']} rounds; {trial['stopped']}")
    reasons = Counter(trial["stopped"] for trial in trials)
    settled, lacking = (
        sum(count for reason, count in reasons.items() if reason and reason.startswith(word)) for word in ("settled", "not")
    )
    print(f"settled: {settled} of {len(trials)} ({', '.join(f'{count} {reason}' for reason, count in reasons.most_common())})")
    rows = results.tail_quality().to_pylist()
    flags = Counter(flag for row in rows for flag in row["flags"])
    flagged = sum(bool(row["flags"]) for row in rows) / len(rows)
    named = ", ".join(f"{count} {flag}" for flag, count in flags.most_common()) or "no flag"
    print(f"flagged: {100 * flagged:.1f} % of {len(rows)} rows ({named})")
    return {"answered": settled + lacking == len(trials), "flagged": flagged <= MOST_FLAGGED}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--co-runner", action="store_true", help="have another process come and go beside it")
    parser.add_argument("--directory", type=Path, help="keep the campaign here, or judge the one that is there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the co-runner ends, too
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.directory or Path(scratch) / "vision"
        stored = (directory / "tail_quality.parquet").exists()
        load = os.getloadavg()[0]
        seconds = None if stored else measure(directory, options.words, options.co_runner)
        answers = judged(directory)
        if seconds is not None:
            print(f"seconds: {seconds:.0f} (load before it {load:.1f})")
            answers["seconds"] = seconds < MOST_SECONDS
    print(", ".join(f"{name} {'holds' if held else 'missed'}" for name, held in answers.items()))
    return 0 if all(answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
