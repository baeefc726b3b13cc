"""Whether the wheel is whole, and the steps of the Dockerfile, run as they stand in a clean root file system without a container engine."""

import json
import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = runpy.run_path(str(ROOT / "requirements" / "install.py"))

NEWEST_PYTHON = "3.13"
"""The newest that all dependencies have wheels for."""

Uv = Callable[..., None]

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]  # pip unpacks 2 GB


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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make install-test")
@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="needs debootstrap: apt-get install debootstrap")
def test_the_steps_of_the_dockerfile_make_an_image_that_measures(container: Container) -> None:
    if wheels := os.environ.get("PIP_FIND_LINKS"):
        shutil.copytree(wheels, f"{container.root}{wheels}")
    if not INSTALL["answers"](INSTALL["CPU_INDEX"]):
        container.arguments["FRAMEWORKS"] = f"torch=={version('torch')} torchvision=={version('torchvision')}"
    for instruction, rest in instructions((ROOT / "Dockerfile").read_text()):
        container.do(instruction, rest)
    container.run(*container.entry, "+sweep=quick")
    container.run("python", "-c", "import tail_quality")
    [report] = (container.root / "home/measure/results").glob("*/report.html")
    assert report.stat().st_uid != 0


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Uv:
    """Uv, which finds what pip is set up to find, takes a cache of the user and this environment's versions."""
    versions = tmp_path_factory.mktemp("uv") / "constraints.txt"
    pinned = (ROOT / INSTALL["CONSTRAINTS"]).read_text()
    versions.write_text(pinned + f"torch=={version('torch')}\ntorchvision=={version('torchvision')}\n")
    set_up = {"UV_CONSTRAINT": str(versions), "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", ""), "UV_LINK_MODE": "symlink"}
    env = os.environ | set_up
    index = ["--extra-index-url", INSTALL["CPU_INDEX"]] if INSTALL["answers"](INSTALL["CPU_INDEX"]) else []

    def run(*words: str | Path) -> None:
        subprocess.run([sys.executable, "-m", "uv", *words, *(index if words[0] == "pip" else [])], env=env, cwd=ROOT, check=True)

    return run


@pytest.fixture(scope="module")
def wheel(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--out-dir", folder)
    return next(folder.glob("*.whl"))


def without(*variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(variables)}


def test_the_wheel_holds_every_file_and_runs_the_quick_sweep_in_an_empty_environment(uv: Uv, wheel: Path, tmp_path: Path) -> None:
    held = {name.removeprefix("orchestrator/") if "/conf/" in name else name for name in zipfile.ZipFile(wheel).namelist()}
    listed = subprocess.run(
        ["git", "ls-files", "orchestrator", "tail_quality", "tasks", "conf"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(listed.split()) <= held
    empty, results = tmp_path / "empty", tmp_path / "results"
    uv("venv", "--quiet", "--python", sys.executable, empty)
    uv("pip", "install", "--quiet", "--python", empty, f"{wheel}[vision]")
    uv("pip", "install", "--quiet", "--python", empty, "--no-deps", "--require-hashes", "--requirement", "requirements/assets.txt")
    program = [empty / "bin" / "orchestrator", "+sweep=quick", f"results_dir={results}"]
    subprocess.run(program, cwd=tmp_path, env=without("PYTHON", "VIRTUAL_ENV"), check=True)
    assert len(list((results / "trials").iterdir())) == 2
    assert (results / "report.html").stat().st_size > 100_000


# With pandas, which costs every program that imports pyarrow 0.2 s.
WITH_PANDAS = """
from types import SimpleNamespace
from pandas import DataFrame, Series
import tail_quality as tq
from tasks.models.estimator import LoadedEstimator

rows = DataFrame({"x": [1, 8], "y": [0, 0]})
found = tq.measure(lambda frame: frame.x > 3, rows, [False, True], batch=2, rounds=1, say=None)
words = tq.measure(lambda word: word == word[::-1], Series(["noon", "word"]), [True, False], rounds=1, say=None)
assert (found.quality("60 s"), words.quality("60 s")) == (1, 1)
assert list(found.frame().columns)[:3] == ["trial", "round", "sample"]
# The columns of the table stand in another order than those of the estimator, and there is one more.
estimator = LoadedEstimator(SimpleNamespace(feature_names_in_=["x", "y"], predict=None))
assert list(estimator.preprocess([{"y": 0, "site": "north", "x": 1}]).columns) == ["x", "y"]
"""


def test_the_wheel_passes_tests_on_the_newest_python(uv: Uv, wheel: Path, tmp_path: Path) -> None:
    uv("venv", "--quiet", "--python", NEWEST_PYTHON, tmp_path / "newest")
    uv("pip", "install", "--quiet", "--python", tmp_path / "newest", wheel, "hypothesis", "pandas", "pytest", "pytest-timeout")
    programs = tmp_path / "newest" / "bin"
    every = "import importlib, pkgutil, orchestrator as o; [importlib.import_module(m.name) for m in pkgutil.walk_packages(o.__path__, 'orchestrator.')]"
    env = without("PYTEST", "PYTHON", "VIRTUAL_ENV")
    for code in (every, WITH_PANDAS):
        subprocess.run([programs / "python", "-W", "error", "-P", "-c", code], env=env, check=True)
    tests = ["-m", "not slow", "--quiet", f"--basetemp={tmp_path / 'tests'}", "tests/configuration"]
    subprocess.run([programs / "pytest", *tests], cwd=ROOT, env=env, check=True)
