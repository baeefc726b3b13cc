"""Does a bundle of a large campaign verify in a fresh clone without a network, and is every changed file of it found?

    python benchmarks/evidence.py [--trials 24] [--rounds 60] [--changes 200] [--seed 0]

A campaign is made up as in benchmarks/report.py, with 20 samples, bundled with a requirement, and verified by the command of a fresh clone
of this repository's last commit: with a home of its own, without a network (``unshare --net``), with this Python's packages. Then single
bytes at random places of the bundle are changed, each in a copy of its own: ``verify`` must find each (exit code 1 or 2), unless every file
in it is still as it was, as where a byte of padding changed. These run in one process of the same clone.
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = 20
BUNDLE = "evidence.tar.zst"
REQUIREMENTS = """requirements:
  - {id: Q-1, text: Half of ideal quality is kept within a second, tail_quality: {threshold: "1000 ms", at_least: 0.5}}
"""
FOUND, HARMLESS, MISSED = "found", "no file changed", "missed"


def make(folder: Path, trials: int, rounds: int) -> Path:
    """Return a bundle of a made-up campaign."""
    from benchmarks.report import write

    write(folder / "campaign", trials, rounds, SAMPLES)
    (folder / "requirements.yaml").write_text(REQUIREMENTS)
    command = [sys.executable, "-m", "orchestrator", "bundle", "campaign", BUNDLE, "--requirements", "requirements.yaml"]
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return folder / BUNDLE


def in_clone(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with the code of a fresh clone, a fresh home and no network."""
    clone, home = folder / "clone", folder / "home"
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(clone)}
    command = ["unshare", "--net", "--map-root-user", sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)


def changed(bundle: Path, changes: int, seed: int) -> Counter[str]:
    """Return what ``verify`` says of copies of a bundle in which one byte is another one."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from bundles import files_of

    from orchestrator.__main__ import main as command

    content, files = bundle.read_bytes(), files_of(bundle)
    drawn, found = random.Random(seed), Counter[str]()
    for _ in range(changes):
        other = bytearray(content)
        other[drawn.randrange(len(content))] ^= drawn.randrange(1, 256)
        path = bundle.with_name("changed.tar.zst")
        path.write_bytes(other)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            code = command(["verify", str(path)])
        found[FOUND if code in (1, 2) else HARMLESS if files_of(path) == files else MISSED] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.of is not None:  # in the clone
        print(json.dumps(changed(asked.of, asked.changes, asked.seed)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundle = make(folder, asked.trials, asked.rounds)
        begun = time.perf_counter()
        verified = in_clone(folder, "-m", "orchestrator", "verify", bundle.name)
        print(verified.stdout, end="")
        print(f"exit code {verified.returncode} in a fresh clone without a network, {time.perf_counter() - begun:.1f} s", flush=True)
        begun = time.perf_counter()
        told = in_clone(folder, __file__, "--of", bundle, "--changes", str(asked.changes), "--seed", str(asked.seed))
        found = json.loads(told.stdout)
        print(f"{asked.changes} changed bytes of {bundle.stat().st_size:,}, {time.perf_counter() - begun:.0f} s:")
        for kind in (FOUND, HARMLESS, MISSED):
            print(f"  {kind}: {found.get(kind, 0)}")
        sys.exit(verified.returncode or found.get(MISSED, 0) > 0)


if __name__ == "__main__":
    main()
