"""One small campaign that a benchmark disturbs: start it, see how far it is, and see what it has left."""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from benchmarks.common import NULL_MODEL, PROGRAM
from orchestrator.storage.trial_writer import rounds_waiting

SHARED_MEMORY = Path("/dev/shm")
RAYS = re.compile("gcs_server|raylet")
TAG = "TAIL_QUALITY_BENCHMARK"
# A campaign that does anything at all is given so long: the machine may be loaded.
SLOW_S = 120.0
COLUMNS = ["round", "started_monotonic_ns", "process"]


class Campaign:
    """Two trials of a model that sleeps, with folders of its own and a tag that all its processes inherit."""

    def __init__(self, seed: int, engine: str, rounds: int, warmup_rounds: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kq-"))
        self.temporary = self.folder / "t"
        self.temporary.mkdir()
        self.results = self.folder / "r"
        self.told_file = self.folder / "told"
        self.rounds = rounds
        self.tag = f"{os.getpid()}-{seed}-{time.time_ns()}"
        self._environment = {**os.environ, TAG: self.tag, "TMPDIR": str(self.temporary), "ORCHESTRATOR_LOCK_DIR": str(self.folder)}
        self._memory_before = set(SHARED_MEMORY.iterdir())
        words = [
            *NULL_MODEL, "-m", "model.sleep_ms=2,2.5",
            f"measurement.warmup_rounds={warmup_rounds}", "measurement.rule=rounds", f"measurement.min_rounds={rounds}",
            f"measurement.max_rounds={rounds}", f"measurement.max_seconds={1000 + seed}", "results_dir=r",
        ]  # fmt: skip
        self.driver = self._start(*words, *(["cluster=inline"] if engine == "inline" else []))

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with self.told_file.open("ab") as told:
            return subprocess.Popen(
                [*PROGRAM, *words],
                cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=told, start_new_session=True,
            )  # fmt: skip

    def told(self) -> str:
        return self.told_file.read_text(errors="replace")

    def wait_until(self, true: Callable[[], object]) -> bool:
        """Wait until it is true; return False where the driver ends before."""
        began = time.monotonic()
        while not true():
            if self.driver.poll() is not None or time.monotonic() - began > SLOW_S:
                return False
            time.sleep(0.01)
        return True

    def goes_on(self) -> bool:
        """Go on with what is there, once more where the driver says so, until it is done."""
        if not (self.results / "campaign.json").exists():
            return True
        if all(trial["state"] == "done" for trial in self.states()):
            return True
        self.driver = self._start("resume", "r")
        return self.driver.wait(SLOW_S) == 0

    def states(self) -> list[dict[str, str]]:
        trials: list[dict[str, str]] = json.loads((self.results / "campaign.json").read_text())["trials"]
        return trials

    def stored(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Return of every stored round when it began and in which process. Raises ValueError for a round that is stored twice."""
        found: dict[tuple[str, int], tuple[int, int]] = {}
        for trial in self.results.glob("trials/*"):
            for row in self._rows(trial):
                key = (trial.name, row["round"])
                if key in found:
                    raise ValueError(f"{key} is stored twice")
                found[key] = (row["started_monotonic_ns"], row["process"])
        return found

    def _rows(self, trial: Path) -> list[dict[str, int]]:
        for _ in range(50):
            try:
                waiting = [row for _, rows in rounds_waiting(trial / ".waiting.arrow") for row in rows.select(COLUMNS).to_pylist()]
                parts = sorted((trial / "rounds").glob("part-*.parquet"))
                whole = [part for part in parts if (trial / "timings" / part.name).exists()]
                stored = [row for part in whole for row in pq.read_table(part, columns=COLUMNS).to_pylist()]
                return stored + [row for row in waiting if row not in stored]  # they may have become a part meanwhile
            except OSError:  # the parts are being merged
                time.sleep(0.02)
        return []

    def processes(self) -> list[psutil.Process]:
        """Return the processes that the campaign has started and that live."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if f"{TAG}={self.tag}".encode() in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                return True
            links = [str(opened.readlink()) for opened in Path(f"/proc/{process.pid}/fd").iterdir()]
            return process.name().startswith("ray::") and any(link.startswith(f"{self.folder}/") for link in links)
        except (OSError, psutil.Error):
            return False

    def find(self, name: str) -> psutil.Process | None:
        """Return the driver, its timed process, or one of Ray's two by name."""
        if name == "driver":
            return psutil.Process(self.driver.pid)
        for process in self.processes():
            try:
                shown = process.name()
            except psutil.Error:
                continue
            if shown == name or (name == "actor" and shown.startswith("ray::TimedActor"[:15])):
                return process
        return None

    def left(self) -> list[str]:
        """Return what is there besides the results: processes, folders, stamps in shared memory."""
        ids = [path.name for path in self.results.glob("trials/*")]
        shared = [path for path in set(SHARED_MEMORY.iterdir()) - self._memory_before if self._mine(path, ids)]
        folders = [path.name for path in self.temporary.iterdir()]
        return [*(f"process {process.pid} {_name(process)}" for process in self.processes()), *folders, *(path.name for path in shared)]

    def _mine(self, path: Path, ids: list[str]) -> bool:
        names = [path.name]
        if path.is_dir():
            try:
                names += [inside.name for inside in path.iterdir()]
            except OSError:
                return False
        return any(trial_id[-30:] in name for trial_id in ids for name in names)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "gone"
