"""Campaigns over four hosts, as their stored files tell them."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy
import pyarrow.parquet as pq
import pytest
from four_hosts import FourHosts as Hosts

pytestmark = [pytest.mark.slow, pytest.mark.first]

SUPPORT = Path(__file__).parents[1] / "support"
SYSTEMS = ("two_cores", "one_core", "half_core", "quarter_core")
TWICE = ("two_cores", "half_core")
SHORT = ("measurement.rule=rounds", "measurement.min_rounds=10", "measurement.max_rounds=10")


QUOTAS = {"half_core": 0.5, "quarter_core": 0.25}
"""Where control groups are there; elsewhere nothing limits these hosts, and their trials say so."""


def null(*systems: str) -> list[str]:
    return ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", f"system={','.join(systems)}"]


def trials(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("trials/*/trial.json"))]


def spans(folder: Path, system: str) -> list[tuple[int, int]]:
    """When each round of a system was timed, from the stored stamps; one machine's monotonic clock serves all four hosts."""
    found = []
    for record in trials(folder):
        if record["trial"]["system"]["name"] == system:
            rounds = pq.read_table(folder / "trials" / record["trial_id"] / "rounds").to_pylist()
            found += [(row["started_monotonic_ns"], row["started_monotonic_ns"] + row["duration_ns"]) for row in rounds]
    return sorted(found)


def overlap(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> bool:
    return any(start < end and begin < stop for start, stop in one for begin, end in other)


def test_two_models_on_four_hosts(four_hosts: Hosts, tmp_path: Path) -> None:
    """A model from outside the package, shipped by ``code``, in two variants on two of the hosts."""
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    (tmp_path / "conf" / "sweep" / "two.yaml").write_text(
        f"axes:\n  system: {','.join(SYSTEMS + TWICE)}\n  model.sleep_ms: 3,3,3,3,4,4\npair: [[system, model.sleep_ms]]\n"
    )
    words = ["--config-dir", str(tmp_path / "conf"), *null()[:-1], "+sweep=two", "model=echo", *SHORT]
    done = four_hosts.orchestrator(*words, "measurement.min_rounds=40", "measurement.max_rounds=40", "results_dir=r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = trials(tmp_path / "r")
    assert len(records) == 6
    for record in records:
        assert record["state"] == "done"
        assert record["placement"]["host"] == record["trial"]["system"]["name"].replace("_", "-")
        assert record["placement"]["niceness"] == os.getpriority(os.PRIO_PROCESS, 0)
        assert record["placement"]["labels"]["system"] == record["trial"]["system"]["name"]
        assert record["placement"]["quota_cores"] in (None, QUOTAS.get(record["trial"]["system"]["name"]))
    cores = {record["trial"]["system"]["name"]: record["placement"]["cores"] for record in records}
    assert len(cores["one_core"]) == len(cores["half_core"]) == 1
    timing = {system: spans(tmp_path / "r", system) for system in SYSTEMS}
    for system, found in timing.items():
        assert len(found) == 40 * (1 + (system in TWICE)), system
        assert all(first[1] <= second[0] for first, second in pairwise(found)), f"two trials overlap on {system}"
    for record in records:
        visits = pq.read_table(tmp_path / "r" / "trials" / record["trial_id"] / "rounds").sort_by("round").column("visit").to_pylist()
        assert visits == [number // 2 for number in range(40)]
    assert any(overlap(timing[one], timing[other]) for one, other in combinations(SYSTEMS, 2)), "machines never worked at the same time"


def test_the_log_of_a_server_on_another_host_comes_to_the_driver(four_hosts: Hosts, tmp_path: Path) -> None:
    command = f"server.command=['{{python}}','{SUPPORT / 'tiny_server.py'}','--port','{{port}}','--says','I run here']"
    words = [*null("two_cores"), "model=tiny_asked", "runtime=http_json", "server=tiny", "system.cores=1", command, *SHORT, "results_dir=r"]
    done = four_hosts.orchestrator(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = trials(tmp_path / "r")
    assert (record["state"], record["placement"]["host"]) == ("done", "two-cores")
    folder = tmp_path / "r" / "trials" / record["trial_id"]
    assert (folder / "server-0.log").read_text() == "I run here\n"


@pytest.fixture(scope="module")
def other_stack(four_hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words for a campaign of two hosts that share a boot id; on one of them the system has an environment with another numpy."""
    folder = tmp_path_factory.mktemp("other stack")
    python = another_environment(folder / "other")
    (folder / "my_conf" / "system").mkdir(parents=True)
    (folder / "my_conf" / "system" / "other.yaml").write_text(
        f"name: other\ndevice: cpu\ncores: null\nthreads: null\nnuma: null\nlabels: {{system: half_core}}\npaths: {{}}\n"
        f"python: {python}\nexclusive: true\n"
    )
    return ["-m", "--config-dir", str(folder / "my_conf"), *null("one_core", "other"), "model=echo", "model.sleep_ms=5", *SHORT]


def test_hosts_of_one_boot_id_take_turns_and_a_system_has_an_environment_of_its_own(
    four_hosts: Hosts, other_stack: list[str], tmp_path: Path
) -> None:
    done = four_hosts.orchestrator(*other_stack, "results_dir=r", cwd=tmp_path, machines="boot_id")
    assert done.returncode == 0, done.stderr
    assert not overlap(spans(tmp_path / "r", "one_core"), spans(tmp_path / "r", "other"))
    versions = {record["trial"]["system"]["name"]: record["stack"]["numpy"] for record in trials(tmp_path / "r")}
    assert versions["one_core"] == numpy.__version__
    assert versions["other"] != numpy.__version__


def another_environment(folder: Path) -> Path:
    """Make a virtual environment that sees this one's packages and has another numpy before them."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    shared = Path(numpy.__file__).parents[1]
    (site / "this_environment.pth").write_text(f"{shared}\n")
    older = "numpy<2.3" if numpy.__version__ >= "2.3" else "numpy>=2.3"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(site), older]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize(("words", "environment"), [([], {"RAY_AUTH_TOKEN": "0" * 64}), (["system.labels.system=nope"], {})])
def test_a_mistake_is_one_line(
    four_hosts: Hosts, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[str], environment: dict[str, str]
) -> None:
    check_refused(four_hosts, capfd, tmp_path, [*null("one_core"), "model=echo", *SHORT, *words], **environment)


def test_stacks_that_differ_are_one_line_where_they_must_not(
    four_hosts: Hosts, other_stack: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check_refused(four_hosts, capfd, tmp_path, [*other_stack, "require_same_stack=true"])


def check_refused(hosts: Hosts, capfd: pytest.CaptureFixture[str], folder: Path, words: Sequence[str], **environment: str) -> None:
    """A campaign is refused in one line, Ray itself says nothing, and no results are begun."""
    done = hosts.orchestrator(*words, "results_dir=r", cwd=folder, **environment)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert capfd.readouterr().err == ""
    assert not (folder / "r").exists()
