"""Make an environment for servers whose packages want older versions than this program: NVIDIA Triton (nvidia-pytriton) and KServe.

    PYTHON requirements/servers.py FOLDER

It finds everything else, such as torch, in the environment of the Python that runs it, and needs the standard library alone.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

PACKAGES = ("nvidia-pytriton>=0.7", "kserve>=0.21")
"""Both under Apache-2.0. They ask for numpy < 2 and psutil < 6."""


def main(folder: Path) -> None:
    """Make it, or bring it up to date."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", asked], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603 - just made
    # What lies in its own folder comes first.
    Path(own, "beside.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)  # noqa: S603 - the same
    print(python)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
