"""The steps of the Dockerfile, run as they stand in a clean root file system: no container engine is needed."""

import json
import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = runpy.run_path(str(ROOT / "requirements" / "install.py"))

pytestmark = [
    pytest.mark.timeout(3600),  # pip unpacks 2 GB
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make image-test"),
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="needs debootstrap: apt-get install debootstrap"),
]


class Container:
    """A root file system, and what the instructions of a Dockerfile set in it."""

    def __init__(self, root: Path, arguments: dict[str, str]) -> None:
        self.root, self.arguments = root, arguments
        self.env = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        self.env["PATH"] = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        self.user, self.folder, self.entry = "root", "/", [""]

    def do(self, instruction: str, rest: str) -> None:
        match instruction:
            case "ARG":
                name, _, default = rest.partition("=")
                self.env[name] = self.arguments.get(name, shlex.split(default)[0])
            case "ENV":
                self.env |= dict(word.split("=", 1) for word in shlex.split(rest))
            case "COPY":
                self.copy(self.root / rest.removeprefix(". /"))
            case "RUN":
                self.run("/bin/sh", "-c", rest)
            case "USER":
                self.user = rest
            case "WORKDIR":
                self.folder = rest
            case "ENTRYPOINT":
                self.entry = json.loads(rest)
            case _:
                assert instruction in ("FROM", "CMD")

    def copy(self, target: Path) -> None:
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        assert lines[0] == "*"
        for line in lines[1:]:
            if line.startswith("!") and (source := ROOT / line[1:]).is_dir():
                shutil.copytree(source, target / line[1:], ignore=shutil.ignore_patterns("__pycache__"))
            elif line.startswith("!"):
                target.mkdir(exist_ok=True)
                shutil.copy(source, target)

    def run(self, *words: str) -> None:
        """Run a command as a container does: with /dev, /proc and the network of this machine, which are gone afterwards."""
        mounts = f"mount --rbind /dev {self.root}/dev && mount -t proc proc {self.root}/proc"
        enter = f'exec chroot --userspec={self.user} {self.root} sh -c \'cd {self.folder} && exec "$@"\' sh "$@"'
        env = self.env | {"HOME": "/root" if self.user == "root" else f"/home/{self.user}"}
        subprocess.run(["unshare", "--mount", "sh", "-c", f"{mounts} && {enter}", "sh", *words], env=env, check=True)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", "").splitlines():
        if line and not line.startswith("#"):
            instruction, rest = line.split(maxsplit=1)
            yield instruction, rest


@pytest.fixture
def container() -> Iterator[Container]:
    """What the base image holds: a minimal Debian, with this Python in /usr/local."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # a file system in memory takes no devices
        made = Container(Path(folder), {})
        made.root.chmod(0o755)  # of every user, as the root of a container is
        release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        # Debian's own Python brings the libraries that this one needs.
        words = ["debootstrap", "--variant=minbase", "--include=ca-certificates,python3", release, folder]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        unwanted = shutil.ignore_patterns("site-packages", "test", "__pycache__", "*.a", "share", "include")
        shutil.copytree(sys.base_prefix, made.root / "usr/local", symlinks=True, dirs_exist_ok=True, ignore=unwanted)
        for name in ("resolv.conf", "hosts", "ssl/certs/ca-certificates.crt"):
            shutil.copy(f"/etc/{name}", made.root / "etc" / name)
        made.run("/bin/sh", "-c", "ldconfig && python3 -m ensurepip --default-pip")
        yield made


def test_its_steps_make_an_image_that_measures(container: Container) -> None:
    if wheels := os.environ.get("PIP_FIND_LINKS"):
        shutil.copytree(wheels, f"{container.root}{wheels}")
    if not INSTALL["answers"](INSTALL["CPU_INDEX"]):
        container.arguments["FRAMEWORKS"] = f"torch=={version('torch')} torchvision=={version('torchvision')}"
    for instruction, rest in instructions((ROOT / "Dockerfile").read_text()):
        container.do(instruction, rest)
    container.run(*container.entry, "+sweep=quick")
    [report] = (container.root / "home/measure/results").glob("*/report.html")
    assert report.stat().st_uid != 0
