"""Four hosts out of this machine, joined by a campaign and broken on purpose."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import program
import pyarrow.parquet as pq
import pytest

SUPPORT = Path(__file__).parent
HOSTS_SCRIPT = SUPPORT.parents[1] / "cluster" / "demo" / "hosts.sh"
SYSTEMS = {"two-cores": "two_cores", "one-core": "one_core", "half-core": "half_core", "quarter-core": "quarter_core"}
"""The system that each host is."""


def run_hosts(*arguments: str | Path) -> str:
    """Call hosts.sh; its output, or a failure with what it said."""
    done = subprocess.run(
        [HOSTS_SCRIPT, *arguments], capture_output=True, text=True, check=False, env={**os.environ, "PYTHON": sys.executable}
    )
    assert done.returncode == 0, f"hosts.sh {arguments}: status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Traces:
    """What one set of hosts has on this machine, noted while it is up, so that it can be looked for afterwards."""

    run_id: str
    folder: Path
    control_groups: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> Self:
        groups = tuple(Path(path.read_text().strip()) for path in folder.glob("*.cgroup"))
        return cls((folder / "run").read_text().split()[0], folder, groups)

    def left(self) -> list[str]:
        """Everything of it that is still there."""
        found = [str(group) for group in self.control_groups if group.exists()]
        found += [str(path) for path in Path("/run/netns").glob(f"tq-{self.run_id}-*")]
        found += [str(path) for path in (Path(f"/tmp/tq-{self.run_id}"), Path(f"/sys/class/net/tq-{self.run_id}")) if path.exists()]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
            except OSError:
                continue  # it ended meanwhile
            if f"/tmp/tq-{self.run_id}/".encode() in command or f"{self.folder}/token".encode() in environment:
                found.append(f"{process.name}: {command[:200]!r}")
        return found


@dataclass(frozen=True)
class FourHosts:
    """The hosts of the demonstration. A driver joins with ``address`` in a process that has ``environment``.

    ``variables`` are what that has besides this process's own: None where it has none of a name.
    """

    folder: Path
    address: str
    variables: Mapping[str, str | None]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that is to join."""
        return {name: value for name, value in {**os.environ, **self.variables}.items() if value is not None}

    def run(self, *words: str | Path, cwd: Path, **changes: str) -> program.Done:
        """Run one command line with some variables changed, in a process of its own: Ray keeps the first token it has used."""
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words], cwd=cwd, env={**self.environment, **changes},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return program.Done(done.returncode, done.stdout, done.stderr)

    def orchestrator(self, *words: str, cwd: Path, machines: str = "node", **changes: str) -> program.Done:
        """Run one command line that joins the hosts."""
        return self.run(*words, "cluster=address", f"cluster.address={self.address}", f"cluster.machines={machines}", cwd=cwd, **changes)

    def cut(self, host: str) -> None:
        run_hosts("cut", self.folder, host)

    def mend(self, host: str) -> None:
        run_hosts("mend", self.folder, host)

    def kill(self, host: str) -> None:
        run_hosts("kill", self.folder, host)

    def start(self, host: str) -> None:
        run_hosts("start", self.folder, host)

    def namespace(self, host: str) -> str:
        return f"tq-{(self.folder / 'run').read_text().split()[0]}-{host}"


def null(*systems: str, rounds: int = 10) -> list[str]:
    fixed = ["measurement.rule=rounds", f"measurement.min_rounds={rounds}", f"measurement.max_rounds={rounds}"]
    return ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", *fixed, f"system={','.join(systems)}"]


def trials(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("trials/*/trial.json"))]


def rounds_of(folder: Path, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / "trials" / record["trial_id"] / "rounds").sort_by("round").to_pylist()
    return found


def exported(script: Path) -> dict[str, str | None]:
    """What a shell that sources ``script``, a list of ``export`` and ``unset``, makes of variables; None of one that it unsets."""
    found: dict[str, str | None] = {}
    for word, *names in map(shlex.split, script.read_text().splitlines()):
        for name in names:
            key, _, value = name.partition("=")
            found[key] = value if word == "export" else None
    return found


@pytest.fixture(scope="session")
def hosts_script() -> Path:
    """hosts.sh, on a machine that can have the four hosts."""
    done = subprocess.run(
        [HOSTS_SCRIPT, "why-not"], capture_output=True, text=True, check=False, env={**os.environ, "PYTHON": sys.executable}
    )
    if done.returncode:
        pytest.skip(f"no four hosts on this machine: {done.stdout.strip()}")
    return HOSTS_SCRIPT


@pytest.fixture(scope="module")
def four_hosts(hosts_script: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[FourHosts]:
    """Four hosts, or the ``HOSTS`` of the file alone, for all its tests, which end with the last of them; nothing of them is left afterwards."""
    folder = tmp_path_factory.mktemp("hosts") / "four"
    try:
        address = run_hosts("up", folder, *getattr(request.module, "HOSTS", ())).splitlines()[-1]
        traces = Traces.of(folder)
        yield FourHosts(folder, address, exported(folder / "env.sh"))
    finally:
        run_hosts("down", folder)
    until = time.monotonic() + 30  # a killed process of a busy machine takes a moment to go
    while traces.left() and time.monotonic() < until:
        time.sleep(0.1)
    left = traces.left()
    assert not left, left
    assert not folder.exists()


@pytest.fixture(scope="session")
def traces_of() -> type[Traces]:
    """For tests that make hosts of their own."""
    return Traces
