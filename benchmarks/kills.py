"""What deaths and signals cost: kills at random moments, and signals at every stage, of small campaigns.

    python benchmarks/kills.py [--only kills|signals] [--count N] [--first N]     # Linux

Each case is a campaign of two trials, disturbed once at a moment that its number decides. Counted are rounds that were stored and are
gone, rounds that were measured twice, deaths that were not noticed and programs that did not end, exit codes of signals, and what is left
ten seconds after the program has ended.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.common import Benchmark, Figure, at_most
from benchmarks.kills_campaign import SLOW_S, Campaign

KILLS, SIGNALS = 5, 9  # one of each target, and one at each stage
NOTICED_S, ENDED_S, CLEAN_S = 15.0, 20.0, 10.0
TARGETS = ("driver under ray", "driver inline", "actor", "raylet", "gcs_server")
STAGES = ("python starts", "composing", "planning", "ray starts", "loading", "warm-up", "measuring", "ray ends", "reporting")
PATTERNS = ("once", "twice", "five times")
SENT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class Outcome:
    """What one case came to. ``said`` is in a person's words; it has failed where anything is counted."""

    what: str
    lost: int = 0
    repeated: int = 0
    hang: bool = False
    wrong_code: bool = False
    left: list[str] = field(default_factory=list)
    unfinished: bool = False
    said: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.lost or self.repeated or self.hang or self.wrong_code or self.left or self.unfinished)


def kill_once(number: int) -> Outcome:
    """Kill one process of a campaign at a moment of its life, let it go on or resume it, and count."""
    moments = random.Random(number)
    target = TARGETS[number % len(TARGETS)]
    engine = "inline" if target == "driver inline" else "ray"
    campaign = Campaign(number, engine, rounds=40)
    outcome = Outcome(f"kill {target}")
    victim = target.partition(" ")[0]
    measuring = moments.random() < 0.7
    wanted = "rounds/part-*" if measuring else "trial.json"
    if victim != "driver" or measuring:
        campaign.wait_until(lambda: list(campaign.results.glob(f"trials/*/{wanted}")) and campaign.find(victim))
    time.sleep(moments.uniform(0, 3.0 if measuring else 0.8) if victim != "driver" or measuring else moments.uniform(0.05, 6.0))
    before = campaign.stored()
    process = campaign.find(victim)
    if process is None or campaign.driver.poll() is not None:
        outcome.said = "was over before the kill"
    else:
        killed_at = time.monotonic()
        process.kill()
        outcome.said = f"{len(before)} rounds stored"
        if victim in ("raylet", "gcs_server"):
            named = campaign.wait_until(lambda: f"lost its process {victim}" in campaign.told() or time.monotonic() - killed_at > NOTICED_S)
            outcome.said += f", named after {time.monotonic() - killed_at:.1f} s" if f"process {victim}" in campaign.told() else ""
            # A death while Ray ends, when all is measured, is nobody's trouble.
            outcome.hang = not named and campaign.driver.poll() is None
    end(campaign, outcome, limit_s=SLOW_S)
    settle(campaign, outcome, before)
    return outcome


def signal_once(number: int) -> Outcome:
    """Send one, two or five signals at a stage of a campaign's life, and count."""
    moments = random.Random(1000 + number)
    stage = STAGES[number % len(STAGES)]
    pattern = PATTERNS[(number // len(STAGES) + number) % len(PATTERNS)]
    sent = moments.choice(SENT)
    engine = "ray" if stage.startswith("ray") or moments.random() < 0.75 else "inline"
    campaign = Campaign(number, engine, rounds=30, warmup_rounds=40)
    outcome = Outcome(f"{stage}, {pattern}", said=f"{sent.name} {engine}")
    before = {}
    if reach(campaign, stage, moments):
        before = campaign.stored()
        gap_s = moments.uniform(0.01, 3.0) if pattern == "twice" else moments.uniform(0.02, 0.4)
        times = {"once": 1, "twice": 2, "five times": 5}[pattern]
        came = campaign.driver.poll() is None
        for again in range(times):
            if campaign.driver.poll() is None:
                campaign.driver.send_signal(sent)
                if again < times - 1:
                    time.sleep(gap_s)
        end(campaign, outcome, limit_s=ENDED_S)
        outcome.wrong_code = came and campaign.driver.returncode != 130
        outcome.said += f", exit code {campaign.driver.returncode}" if came else ", was over before the signal"
    else:
        outcome.said += ", the stage was not reached"
        outcome.unfinished = True
        end(campaign, outcome, limit_s=ENDED_S)
    settle(campaign, outcome, before)
    return outcome


def reach(campaign: Campaign, stage: str, moments: random.Random) -> bool:
    """Wait until a stage has begun, and a random while into it. Return whether it was reached."""
    status = Path(f"/proc/{campaign.driver.pid}/status")
    mask = sum(1 << (number - 1) for number in SENT)

    def entered() -> bool:
        blocked = next((line for line in status.read_text().splitlines() if line.startswith("SigBlk")), "SigBlk: 0")
        return int(blocked.split()[1], 16) == mask  # all of them are blocked for a moment when a thread starts

    if not campaign.wait_until(entered):
        return False
    if stage in ("python starts", "composing", "planning"):
        low, high = {"python starts": (0.0, 0.05), "composing": (0.2, 1.2), "planning": (1.0, 2.0)}[stage]
        time.sleep(moments.uniform(low, high))
        return True
    done = {"ray starts": lambda: campaign.find("gcs_server"), "loading": lambda: ": loading" in campaign.told()}
    done["warm-up"] = lambda: any(part for part in campaign.results.glob("trials/*/trial.json")) and ": loading" in campaign.told()
    done["measuring"] = lambda: list(campaign.results.glob("trials/*/rounds/part-*"))
    done["ray ends"] = done["reporting"] = lambda: "[2/2]" in campaign.told()
    reached = campaign.wait_until(done[stage])
    if stage == "reporting":
        campaign.wait_until(lambda: not campaign.find("gcs_server"))
    # Reporting follows at once, and takes about as long.
    longest = {"ray starts": 3.0, "loading": 0.5, "warm-up": 2.0, "measuring": 2.0, "ray ends": 0.8, "reporting": 0.3}[stage]
    time.sleep(moments.uniform(0, longest))
    return reached


def end(campaign: Campaign, outcome: Outcome, limit_s: float) -> None:
    """Wait for the driver's end. One that hangs is counted and killed."""
    try:
        campaign.driver.wait(limit_s)
    except subprocess.TimeoutExpired:
        outcome.hang = True
        campaign.driver.kill()
        campaign.driver.wait()


def settle(campaign: Campaign, outcome: Outcome, before: dict[tuple[str, int], tuple[int, int]]) -> None:
    """Look at what is left, go on until all is done, and compare the rounds."""
    began = time.monotonic()
    while (left := campaign.left()) and time.monotonic() - began < CLEAN_S:
        time.sleep(0.1)
    outcome.left = left
    outcome.said += f", clean after {time.monotonic() - began:.1f} s"
    try:
        at_end = campaign.stored()
        outcome.unfinished |= not campaign.goes_on()
        after = campaign.stored()
        known = {**before, **at_end}
        outcome.lost = sum(key not in after for key in known)
        outcome.repeated = sum(after.get(key, began) != began for key, began in known.items())
        if campaign.results.exists() and (campaign.results / "campaign.json").exists():
            ids = [trial["trial_id"] for trial in campaign.states()]
            outcome.lost += len({(one, place) for one in ids for place in range(campaign.rounds)} - set(after))
    except ValueError:
        outcome.repeated += 1
    for process in campaign.processes():
        try:
            process.kill()
        except psutil.Error:
            continue
    if outcome.failed:
        print(f"    kept: {campaign.folder}")
    else:
        shutil.rmtree(campaign.folder, ignore_errors=True)


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has a command ignore it, and its programs with it
    for name, case, count in (("kills", kill_once, KILLS), ("signals", signal_once, SIGNALS)):
        if asked.only in (None, name):
            outcomes = []
            for number in range(asked.first, asked.first + (asked.count or (2 if asked.quick else count))):
                outcomes.append(case(number))
                print(f"{name} {number}: {outcomes[-1]}", file=sys.stderr, flush=True)
            yield Figure(f"{name}", len(outcomes))
            for what, of in COUNTED.items():
                yield Figure(f"{name}: {what}", sum(of(one) for one in outcomes))
            if name == "signals":
                yield Figure(f"{name}: exit code not 130", sum(one.wrong_code for one in outcomes))


COUNTED: dict[str, Callable[[Outcome], int]] = {
    "rounds lost": lambda one: one.lost,
    "rounds repeated": lambda one: one.repeated,
    "hangs": lambda one: one.hang,
    f"something left after {CLEAN_S:g} s": lambda one: bool(one.left),
    "not finished": lambda one: one.unfinished,
}
BENCHMARK = Benchmark(
    "kills",
    "What deaths of processes and signals cost small campaigns",
    measure,
    bars={f"{name}: {what}": at_most(0) for name in ("kills", "signals") for what in COUNTED} | {"signals: exit code not 130": at_most(0)},
    is_quick=False,
    options={
        "--only": {"choices": ["kills", "signals"]},
        "--count": {"type": int},
        "--first": {"type": int, "default": 0, "help": "the number of the first case"},
    },
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
