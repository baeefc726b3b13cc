from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SUPPORT = PROJECT / "tests" / "support"
CAMPAIGN = [
    *["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "model=echo", "task=numbers", "runtime=torch"],
    *["model.sleep_ms=5", "measurement.min_rounds=2000", "measurement.max_rounds=2000", "results_dir=here"],
]


@pytest.mark.cluster
@pytest.mark.slow
def test_an_interrupted_demonstration_says_where_its_results_are(hosts_script: Path, tmp_path: Path) -> None:
    command = ["env", "--default-signal=INT", str(hosts_script.with_name("run.sh")), *CAMPAIGN]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as demo:
        while demo.poll() is None and not list(tmp_path.glob("here/trials/*/rounds/part-*")):
            time.sleep(0.2)
        demo.send_signal(signal.SIGINT)
        said = demo.communicate()[1].splitlines()
    assert demo.returncode == 130, said
    assert said[-1] == (
        "the four hosts are gone, so that `resume` has none; the results so far lie in here: python -m orchestrator report here"
    )
    shown = subprocess.run(
        [sys.executable, "-m", "orchestrator", "report", "here"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "echo" in shown.stdout
