import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lazily import Lazily
from null_trials import OPTIONS, null_trial
from refusals import refused

from orchestrator.configuration.config import CampaignConfig, Trial
from orchestrator.contracts import InputError
from orchestrator.distributed.cluster import open_local
from orchestrator.distributed.placement import Node, choose_node, stage_code
from orchestrator.machine.cores import allowed_cores
from orchestrator.machine.locks import own_folder_path
from orchestrator.running.executor import Executor

pytestmark = pytest.mark.slow

ray = Lazily("ray")

SUPPORT = Path(__file__).parents[1] / "support" / "code"
SEES = {"target": "null_targets:SeesGpus", "several_gpus": True}


def trial(device: str = "cpu", schedule: str = "visits", **model: Any) -> Trial:
    measurement = {"min_rounds": 1, "max_rounds": 1, "schedule": schedule}
    return null_trial(model=model, task={"count": 5}, system={"name": "here", "cores": 1, "device": device}, measurement=measurement)


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """A Ray of this machine that believes in four GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_OVERRIDE_RESOURCES", '{"GPU": 4}')
        config, cache = CampaignConfig(code=(str(SUPPORT),)), tmp_path_factory.mktemp("cache")
        with open_local(config, cache) as site, site.executor() as opened:
            yield opened


def test_no_other_user_reaches_rays_files(executor: Executor) -> None:
    (folder,) = Path(tempfile.gettempdir()).glob(f"tq-{os.getpid()}-*/r/session_latest")
    assert folder.parents[1].stat().st_mode & 0o777 == 0o700


def switches_of_main_thread(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)


def test_a_trial_has_a_fresh_pinned_process_of_its_own_that_sleeps_between_its_visits(executor: Executor) -> None:
    """Ray alone wakes its main thread a hundred times a second."""
    session = executor.open(trial(), "t-r0", 0)
    try:
        identity = session.identify().result(60)
        placement = session.prepare().result(60).placement
        for visit in (0, 1):
            session.rest()
            before, after, tries = -1, switches_of_main_thread(identity.pid), iter(range(50))
            while before != after:
                assert next(tries, None) is not None, "it does not sleep"
                before = after
                time.sleep(0.2)
                after = switches_of_main_thread(identity.pid)
            rounds = session.run_rounds(2 * visit, 2, visit).result(60)
            assert rounds.numbers == [2 * visit, 2 * visit + 1]
            assert rounds.rows.column("visit").to_pylist() == [visit, visit]
        session.rest()
        bells = list(own_folder_path().glob(f"*{identity.pid}-*-bell"))
    finally:
        session.close()
    assert len(bells) == 1
    assert not bells[0].exists()

    assert identity.pid == placement["pid"] != os.getpid()
    given = {"cores": [allowed_cores()[-1]], "niceness": os.getpriority(os.PRIO_PROCESS, 0), "cuda_visible_devices": ""}
    assert {name: placement[name] for name in given} == given
    assert all(thread["cores"] == placement["cores"] for thread in placement["computing_threads"])
    assert set(placement["thread_variables"].values()) == {"1"}
    assert rounds.timings.column("round").to_pylist() == [2] * 5 + [3] * 5
    assert not psutil.pid_exists(placement["pid"])  # so that the next trial has another
    assert not Path(placement["scratch"]).exists()


needs_two_cores = pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs 2 cores to leave the right one")


@pytest.mark.parametrize(
    ("target", "code", "key"),
    [
        pytest.param("StrayModel", "unsupported", "system.cores", marks=needs_two_cores, id="moves itself to another core"),
        pytest.param("PoolsModel", "conflict", "system.threads", id="has another pool"),
    ],
)
def test_a_model_that_computes_elsewhere_or_with_more_threads_is_refused(executor: Executor, target: str, code: Any, key: str) -> None:
    session = executor.open(trial(**OPTIONS, target=f"null_targets:{target}"), "t-r0", 0)
    try:
        session.identify().result(60)
        with refused(code, key):
            session.prepare().result(60)
    finally:
        session.close()


def test_a_trial_is_given_four_gpus_of_one_node_and_sees_them_in_its_order(executor: Executor) -> None:
    session = executor.open(trial("cuda:3,1,2,0", "sequential", **SEES), "t-r0", 0)
    try:
        assert session.identify().result(60).pid != os.getpid()
        assert ray.available_resources().get("GPU", 0) == 0
        with pytest.raises(InputError, match=r"^sees CUDA_VISIBLE_DEVICES=3,1,2,0 in the order PCI_BUS_ID, cuda:0 of 4$"):
            session.prepare().result(60)
    finally:
        session.close()
    with refused("unsupported", "system.device", "cuda:0,1,2,3,4"):
        executor.open(trial("cuda:0,1,2,3,4", "sequential", **SEES), "t-r0", 0)


def test_labels_choose_the_node() -> None:
    nodes = [
        Node("1", "10.0.0.1", {"system": "fast", "zone": "a"}, is_own=True),
        Node("2", "10.0.0.2", {"system": "slow", "zone": "a"}),
    ]
    slow = trial().system.model_copy(update={"labels": {"system": "slow"}})
    assert choose_node(slow, nodes).node_id == "2"
    assert choose_node(trial().system, nodes).node_id == "1"
    zone = slow.model_copy(update={"labels": {"zone": "a"}})
    anew = [*nodes, Node("3", "10.0.0.2", {"system": "slow", "zone": "a"})]
    unknown = slow.model_copy(update={"labels": {"system": "none"}})
    for system, there, code in ((zone, nodes, "conflict"), (slow, anew, "conflict"), (unknown, nodes, "not_found")):
        with refused(code, "system.labels"):
            choose_node(system, there)


def test_only_code_is_shipped(tmp_path: Path) -> None:
    stage_code(tmp_path, [str(SUPPORT)])
    for name in ("orchestrator/contracts.py", "tasks/__init__.py", "user_code/0/null_targets.py"):
        assert (tmp_path / name).is_file()
    assert not list(tmp_path.rglob("__pycache__"))


def test_importing_the_driver_imports_no_framework() -> None:
    script = "import sys, json, orchestrator.commands.measuring, orchestrator.commands.planning; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout))
    assert not modules & {"torch", "torchvision", "onnxruntime", "ray", "PIL", "scipy.stats", "scipy.special"}
