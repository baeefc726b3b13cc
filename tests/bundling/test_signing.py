import shutil
import subprocess
from pathlib import Path

import pytest
from program import Done, orchestrator
from refusals import refused

from orchestrator.bundling import signing

pytestmark = pytest.mark.slow


def key(folder: Path, name: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    return folder / name


@pytest.fixture(scope="module")
def signed(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed copy of the bundle, with the keys of its measurer and of somebody else beside it."""
    folder = tmp_path_factory.mktemp("signed")
    shutil.copy(bundle, folder)
    mine = key(folder, "measurer")
    key(folder, "stranger")
    assert signing.sign(folder / bundle.name, mine) == folder / "evidence.tar.zst.sig"
    public = (folder / "measurer.pub").read_text()
    (folder / "allowed_signers").write_text(f'# who may\nlab@example.org namespaces="{signing.NAMESPACE}" {public}')
    (folder / "other_signers").write_text(f'lab@example.org namespaces="git" {public}')
    return folder


def verified(folder: Path, *words: str) -> Done:
    return orchestrator("verify", "evidence.tar.zst", *words, cwd=folder)


@pytest.mark.parametrize(("signer", "code"), [("measurer.pub", 0), ("allowed_signers", 0), ("stranger.pub", 1), ("other_signers", 1)])
def test_its_signer_is_known_and_another_one_is_none(signer: str, code: int, signed: Path) -> None:
    done = verified(signed, "--signer", signer)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_changed_bundle_or_signature_is_reported(signed: Path, tmp_path: Path) -> None:
    for name in ("evidence.tar.zst", "evidence.tar.zst.sig"):
        folder = shutil.copytree(signed, tmp_path / name)
        changed = bytearray((folder / name).read_bytes())
        changed[len(changed) // 2] ^= 1
        (folder / name).write_bytes(changed)
        assert verified(folder, "--signer", "measurer.pub").returncode == 1


def test_a_missing_signature_is_reported(signed: Path, bundle: Path) -> None:
    done = orchestrator("verify", bundle.name, "--signer", signed / "measurer.pub", cwd=bundle.parent)
    assert (done.returncode, done.stderr) == (1, "")


def test_bundle_signs_and_a_new_bundle_drops_the_old_signature(campaign: Path, signed: Path, tmp_path: Path) -> None:
    done = orchestrator("bundle", campaign, "b.tar.zst", "--sign", signed / "measurer", cwd=tmp_path)
    assert done.returncode == 0
    assert orchestrator("verify", "b.tar.zst", "--signer", signed / "measurer.pub", cwd=tmp_path).returncode == 0
    assert orchestrator("bundle", campaign, "b.tar.zst", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "b.tar.zst.sig").exists()


def test_a_key_that_does_not_sign_is_reported(bundle: Path, tmp_path: Path) -> None:
    shutil.copy(bundle, tmp_path)
    (tmp_path / "broken").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnothing\n-----END OPENSSH PRIVATE KEY-----\n")
    with refused("unreadable", "--sign"):
        signing.sign(tmp_path / bundle.name, tmp_path / "broken")
