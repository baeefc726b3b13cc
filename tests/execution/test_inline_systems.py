"""With ``cluster=inline`` a system is refused where it is another Python, or has other GPUs, than the program's own process."""

import sys
import time
from pathlib import Path

import pytest
from refusals import refused

from orchestrator.configuration.config import SystemConfig
from orchestrator.machine.environment import same_interpreter
from orchestrator.running.inline import InlineJob, InlineSite, open_inline, why_not_here


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    """Two virtual environments made from one Python, each with links to it, as ``python -m venv`` makes them."""
    for name in ("a", "b"):
        folder = tmp_path / name / "bin"
        folder.mkdir(parents=True)
        (tmp_path / name / "pyvenv.cfg").write_text("home = /usr/bin\n")
        (folder / "python3").symlink_to(Path(sys.executable).resolve())
        (folder / "python").symlink_to("python3")
    (tmp_path / "beside").symlink_to("a")
    (tmp_path / "outside").symlink_to("a/bin/python")
    return tmp_path


@pytest.mark.parametrize(
    ("other", "same"),
    [("a/bin/python3", True), ("beside/bin/python", True), ("b/bin/python", False), ("outside", False), ("a/bin/absent", False)],
)
def test_a_python_is_its_file_and_its_environment(environments: Path, other: str, same: bool) -> None:
    """A link from outside an environment starts the Python behind it without the environment."""
    assert same_interpreter(str(environments / other), str(environments / "a/bin/python")) is same


def test_the_plan_refuses_another_python(tmp_path: Path) -> None:
    """The program's own is taken, by whatever path."""
    site = InlineSite(lambda: open_inline(tmp_path))
    assert site.machine(SystemConfig(name="own", python=sys.executable)) == site.machine(SystemConfig(name="none"))
    with refused("unsupported", "system", "other"):
        site.machine(SystemConfig(name="other", python="/nonexistent/python"))


@pytest.mark.parametrize(
    ("device", "visible", "refused"),
    [("cuda:1", "0", True), ("cuda:0,1", "1,0", True), ("cuda:1", "1", False), ("cuda:0", None, False), ("cpu", "0", False)],
)
def test_gpus_that_the_process_does_not_see(device: str, visible: str | None, refused: bool) -> None:
    """``cuda:1`` would be the first of those visible, whichever that is."""
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    told = why_not_here(SystemConfig(name="gpu", device=device), sys.executable, environment)
    assert (told is not None and f"set CUDA_VISIBLE_DEVICES={device.removeprefix('cuda:')}" in told) is refused


def test_a_round_that_took_longer_than_it_may_has_failed_once_it_has_ended() -> None:
    """In one process it cannot be cut off."""
    with pytest.raises(TimeoutError):
        InlineJob(lambda: time.sleep(0.002), limited=True).result(0.001)
    for limited, timeout in ((False, 0.001), (True, None), (True, 600.0)):
        assert InlineJob(lambda: time.sleep(0.002) or 7, limited).result(timeout) == 7
