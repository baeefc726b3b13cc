import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import files_of, forged, packed, put
from effort import EFFORT
from program import Done, orchestrator
from small_campaign import contents, read_document, reseal_json, reseal_table

from orchestrator.bundling.archive import SUMS, digest, unpack
from orchestrator.contracts import InputError
from orchestrator.storage.files import json_text, sealed_json

ROOT = Path(__file__).parents[2]
CHANGES = 60 * EFFORT
WITHIN_A_SECOND, AT_ONCE = "Q-1  Nearly all is kept within a second", "Q-2  Answers are there at once"
"""The requirements of the bundle."""


def verified(bundle: Path, *words: str | Path) -> Done:
    return orchestrator("verify", bundle.name, *words, cwd=bundle.parent)


def test_a_bundle_verifies(bundle: Path) -> None:
    done = verified(bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [f"not shown  {WITHIN_A_SECOND}", f"not met    {AT_ONCE}"]


@pytest.mark.slow
def test_it_verifies_in_a_process_of_its_own_without_a_home_or_a_network(bundle: Path, tmp_path: Path) -> None:
    shutil.copy(bundle, tmp_path)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    apart = ["unshare", "--net", "--map-root-user"] if os.geteuid() == 0 else []
    command = [*apart, sys.executable, "-m", "orchestrator", "verify", bundle.name]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == [bundle.name]  # nothing is left behind


def test_it_holds_everything_that_is_evidence(bundle: Path, campaign: Path) -> None:
    files = files_of(bundle)
    assert next(iter(files)) == SUMS
    assert {line.split("  ")[1] for line in files[SUMS].decode().splitlines()} == set(files) - {SUMS}
    stored = {name for name in contents(campaign) if not name.endswith((".html", ".md", ".svg")) and "/" in name}
    assert {f"results/{name}" for name in stored} <= set(files)
    assert {"results/tail_quality.parquet", "results/report.html", "results/report.md", "results/campaign.json"} <= set(files)
    environment = json.loads(files["environment.json"])
    assert {trial for place in environment["places"] for trial in place["trials"]} <= {
        path.name for path in (campaign / "trials").iterdir()
    }
    assessment = json.loads(files["assessment.json"])
    assert [one["verdict"] for one in assessment["requirements"]] == ["not shown", "not met"]


@pytest.mark.slow
def test_the_same_campaign_gives_the_same_bytes(bundle: Path, campaign: Path, tmp_path: Path) -> None:
    shutil.copy(bundle.parent / "requirements.yaml", tmp_path)
    shutil.copytree(campaign, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "notes.txt").write_text("not of the campaign")
    done = orchestrator("bundle", "elsewhere", "again.tar.zst", "--requirements", "requirements.yaml", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "again.tar.zst").read_bytes() == bundle.read_bytes()


@pytest.mark.slow
def test_every_changed_file_is_found(bundle: Path, tmp_path: Path) -> None:
    """Places drawn at random, and the beginning; a byte of padding belongs to no file."""
    content, files = bundle.read_bytes(), files_of(bundle)
    drawn = random.Random(21)
    path, found = tmp_path / "changed.tar.zst", 0
    for place in (*range(8), *(drawn.randrange(len(content)) for _ in range(CHANGES))):
        changed = bytearray(content)
        changed[place] ^= 1 << drawn.randrange(8)
        path.write_bytes(changed)
        (folder := tmp_path / "out").mkdir()
        with suppress(InputError):  # it is no bundle any more
            assert unpack(path, folder) or files_of(path) == files, place
            found += 1
        shutil.rmtree(folder)
    assert found > CHANGES / 2


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_bundle_that_was_cut_is_reported(share: float, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / bundle.name
    path.write_bytes(bundle.read_bytes()[: int(share * bundle.stat().st_size)])
    done = verified(path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(("evidence.tar.zst: ", "results/"))


def test_figures_that_do_not_follow_from_the_times_are_reported(bundle: Path, tmp_path: Path) -> None:
    """Whoever makes a bundle makes its digests, too."""

    def flatter(files: dict[str, bytes]) -> None:
        path = tmp_path / "tail_quality.parquet"
        table = pq.read_table(io.BytesIO(files["results/tail_quality.parquet"]))
        place = table.schema.get_field_index("mean")
        better = pa.array([min(1.0, mean + 0.001) for mean in table.column("mean").to_pylist()])
        reseal_table(path, table.set_column(place, table.schema.field(place), better))
        files["results/tail_quality.parquet"] = path.read_bytes()
        files["assessment.json"] = files["assessment.json"].replace(b'"not met"', b'"met"')
        files["environment.json"] = files["environment.json"].replace(b'"1.0"', b'"2.0"')

    done = verified(forged(bundle, tmp_path / "forged.tar.zst", flatter))
    assert (done.returncode, done.stderr) == (1, "")
    *told, within, at_once = done.stdout.splitlines()
    assert (within, at_once) == (f"not shown  {WITHIN_A_SECOND}", f"not met    {AT_ONCE}")
    lines = sorted(told)
    assert [line.partition(":")[0] for line in lines] == [
        "assessment.json", "environment.json", "results/tail_quality.parquet",
    ]  # fmt: skip
    assert "mean.0" in lines[2]
    assert "Q-2" in lines[0]


def test_times_that_were_damaged_before_they_were_bundled_are_reported(bundle: Path, tmp_path: Path) -> None:
    def damage(files: dict[str, bytes]) -> None:
        name = next(name for name in files if "/timings/" in name)
        files[name] = files[name][:-20] + bytes(20)

    done = verified(forged(bundle, tmp_path / "forged.tar.zst", damage))
    assert (done.returncode, done.stderr) == (1, "")
    assert "part-0000" in done.stdout
    assert str(tmp_path) not in done.stdout


def test_tables_and_verdicts_of_another_version_are_still_held_against_the_times(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.bundling import verification

    monkeypatch.setattr(verification, "digest_code", lambda: "0" * 64)
    assert verified(bundle).returncode == 0

    def flatter(files: dict[str, bytes]) -> None:
        files["assessment.json"] = files["assessment.json"].replace(b'"not met"', b'"met"')

    done = verified(forged(bundle, tmp_path / "forged.tar.zst", flatter))
    assert (done.returncode, done.stdout.partition(":")[0]) == (1, "assessment.json")


def test_a_bundle_of_0_2_0_verifies(bundle: Path, tmp_path: Path) -> None:
    """Version 0.2.0 wrote MANIFEST.json first, and a frame that Zstandard skips last."""
    files = files_of(bundle)
    del files["SHA256SUMS"]
    about = json.loads(files.pop("bundle.json"))
    known = {name: {"size_bytes": len(content), "sha256": digest(content)} for name, content in files.items()}
    del about["sha256"]
    manifest = sealed_json(json_text({**about, "bundle_version": 1, "files": known}))

    def add(archive: tarfile.TarFile) -> None:
        put(archive, "MANIFEST.json", manifest.encode())
        for name, content in files.items():
            put(archive, name, content)

    path = packed(tmp_path / bundle.name, add)
    path.write_bytes(path.read_bytes() + bytes.fromhex("5e2a4d1804000000") + b"seal")
    done = verified(path)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_cannot_be_bundled_is_refused(campaign: Path, tmp_path: Path) -> None:
    running = shutil.copytree(campaign, tmp_path / "running")
    reseal_json(running / "campaign.json", read_document(running / "campaign.json") | {"under_way": True})
    (tmp_path / "bad.yaml").write_text("requirements: []")
    for words, code in (
        (["running", "b.tar.zst"], "in_use"),
        ([campaign, campaign / "b.tar.zst"], "exists"),
        ([campaign, "missing/b.tar.zst"], "not_found"),
        ([campaign, "b.tar.zst", "--requirements", "bad.yaml"], "invalid"),
        ([campaign, "b.tar.zst", "--requirements", "none.yaml"], "unreadable"),
        ([campaign, "b.tar.zst", "--sign", "bad.yaml"], "invalid"),
        (["nothing", "b.tar.zst"], "not_found"),
    ):
        done = orchestrator("bundle", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.endswith(f"[{code}]\n"), words
    assert not (tmp_path / "b.tar.zst").exists()
