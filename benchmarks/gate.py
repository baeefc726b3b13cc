"""Does the gate keep quiet where nothing changed, and find what did? Real campaigns of a model that only sleeps, under the embedded Ray.

    python benchmarks/gate.py [--pairs 20] [--directory DIR] [--only pairs]

A campaign is two systems, one core and all cores, measured through the command line. Three questions:

self: 3 repeats compared with themselves show nothing (exit code 0), without repeats there is no verdict (3).
slower: 5 repeats against 5 with code that sleeps 10 % longer on one core; `worse` is exactly that system.
pairs: of 20 pairs of campaigns of 3 repeats, the same code twice, at most 2 hold a `worse`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.compare.campaigns import ALARM, PASSED, UNDECIDED, Comparison, compare
from orchestrator.storage.reader import open_campaign

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
SLEEP = "time.sleep(self._sleep_s)"
SLOWER_ON_ONE_CORE = "time.sleep(self._sleep_s * (1.1 if len(os.sched_getaffinity(0)) == 1 else 1.0))"
MOST_ALARMS = 2


def measure(directory: Path, repeats: int, code: Path = SUPPORT / "code", rounds: int = 20) -> Path:
    """Run a campaign, unless it is there already."""
    if (directory / "report.md").exists():
        return directory
    words = [
        "-m", "--quiet", "--config-dir", str(SUPPORT / "conf"), f"code=[{code}]", "task=numbers", "model=echo", "model.sleep_ms=2",
        "system=cpu_1core,cpu_all", "measurement.rule=rounds", f"measurement.min_rounds={rounds}", f"measurement.max_rounds={rounds}",
        f"measurement.repeat={repeats}", f"results_dir={directory}",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "orchestrator", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{directory}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return directory


def compared(before: Path, after: Path) -> Comparison:
    campaign = open_campaign(before)
    return compare(campaign, open_campaign(after), campaign.record.config.analysis, power=True)


def told(comparison: Comparison) -> str:
    found = []
    for row in comparison.rows:
        verdict = row.verdict
        figures = "" if verdict is None else f" {verdict.difference:+.3f}, p {verdict.p_worse:.3f}, sd {verdict.sd:.4f}"
        found.append(f"{row.trial.system.name} {row.outcome}{figures}")
    return "; ".join(found)


def against_itself(folder: Path) -> bool:
    three = measure(folder / "three", 3)
    one = measure(folder / "one", 1)
    same, unknown = compared(three, three), compared(one, one)
    print(f"self: 3 repeats exit code {same.exit_code()}: {told(same)}")
    print(f"self: 1 repeat exit code {unknown.exit_code()}: {told(unknown)}")
    return same.exit_code() == PASSED and unknown.exit_code() == UNDECIDED


def slower_on_one_core(folder: Path) -> bool:
    code = folder / "slower_code"
    code.mkdir(exist_ok=True)
    text = (SUPPORT / "code" / "null_targets.py").read_text()
    if SLEEP not in text:
        raise SystemExit("the null model no longer sleeps as this program thinks")
    (code / "null_targets.py").write_text(text.replace(SLEEP, SLOWER_ON_ONE_CORE))
    found = compared(measure(folder / "before", 5), measure(folder / "slower", 5, code))
    print(f"slower: exit code {found.exit_code()}: {told(found)}")
    worse = [row.trial.system.name for row in found.rows if row.outcome == "worse"]
    return found.exit_code() == ALARM and worse == ["cpu_1core"]


def pairs_alike(folder: Path, pairs: int) -> bool:
    alarms = gains = 0
    for number in range(pairs):
        found = compared(*(measure(folder / f"pair-{number}-{side}", 3) for side in "ab"))
        alarms += found.exit_code() == ALARM
        gains += any(row.outcome == "better" for row in found.rows)
        print(f"pair {number}: exit code {found.exit_code()}: {told(found)}", flush=True)
    print(f"pairs: {alarms} of {pairs} raise an alarm (at most {MOST_ALARMS} of 20), {gains} show a gain")
    return alarms <= MOST_ALARMS * pairs / 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--directory", type=Path, help="keep the campaigns here, and go on with those that are there")
    parser.add_argument("--only", choices=["self", "slower", "pairs"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.directory or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        questions = {
            "self": lambda: against_itself(folder),
            "slower": lambda: slower_on_one_core(folder),
            "pairs": lambda: pairs_alike(folder, options.pairs),
        }
        answers = {name: ask() for name, ask in questions.items() if options.only in (None, name)}
    print(", ".join(f"{name} {'holds' if held else 'missed'}" for name, held in answers.items()))
    return 0 if all(answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
