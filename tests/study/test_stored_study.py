"""The study in docs/: its page and figures are what the measured times give with today's code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow(first=True)
def test_the_page_and_the_figures_show_what_the_measured_times_give() -> None:
    script = Path(__file__).parents[2] / "docs" / "study" / "numbers.sh"
    done = subprocess.run([script, "check"], env=os.environ | {"PYTHON": sys.executable}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`make study-check` says where; {script} write draws them anew:\n{done.stdout}{done.stderr}"
