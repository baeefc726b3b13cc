"""Signatures of a bundle by ``ssh-keygen -Y``, which is part of OpenSSH. No cryptography is ours."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import BinaryIO

from orchestrator.contracts import InputError
from orchestrator.storage.load import read_regular

NAMESPACE = "tail-quality-bundle"  # What a signature is for, so that one of a bundle is none of anything else
KEY_TYPES = ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-")
PROGRAM = "ssh-keygen"
PATIENCE_S = 60


def signature_of(bundle: Path) -> Path:
    """Return where the signature of a bundle lies: beside it."""
    return bundle.with_name(f"{bundle.name}.sig")


def check_key(key: Path, option: str = "--sign") -> None:
    """Raise InputError for a file that is no key, and where ssh-keygen is not installed: before anything takes long."""
    try:
        lines = _lines(key)
    except OSError as error:
        raise InputError(
            f"{option} {key}: cannot be read ({error.strerror}): name a key of {PROGRAM}", "unreadable", option, key
        ) from error
    private = bool(lines) and "PRIVATE KEY-----" in lines[0]
    if private and option == "--signer":
        raise InputError(f"{option} {key}: is a private key; name the public one, {key}.pub", "invalid", option, key)
    if not private and not (lines and any(word.startswith(KEY_TYPES) for word in lines[0].split())):
        raise InputError(f"{option} {key}: is no key of {PROGRAM}: name one, such as ~/.ssh/id_ed25519", "invalid", option, key)
    if shutil.which(PROGRAM) is None:
        raise InputError(f"{PROGRAM} is not installed, and signs and checks bundles: install OpenSSH", "not_installed")


def sign(bundle: Path, key: Path) -> Path:
    """Sign a bundle and return the signature's file; the program itself asks for a pass phrase.

    ``key`` is a private key, or a public one whose private half an agent holds. Raises InputError where it does not sign.
    """
    path = signature_of(bundle)
    path.unlink(missing_ok=True)  # it would ask whether to replace it
    words = [PROGRAM, "-Y", "sign", "-q", "-f", str(key.absolute()), "-n", NAMESPACE, str(bundle.absolute())]
    done = subprocess.run(words, stdout=2, check=False)  # noqa: S603
    if done.returncode or not path.is_file():
        raise InputError(
            f"--sign {key}: {PROGRAM} did not sign (exit code {done.returncode}): see what it says, and whether key and pass phrase are "
            f"yours; {bundle.name} is written and not signed",
            "unreadable",
            "--sign",
            key,
        )
    return path


def complaint(bundle: Path, signer: Path) -> str | None:
    """Return why a bundle is not signed by a signer, in words, or None where it is.

    ``signer`` is a public key, or OpenSSH's file of allowed signers.
    """
    path = signature_of(bundle)
    if not path.is_file():
        return f"{path.name}: is missing, so that {bundle.name} is not signed by {signer.name}"
    with tempfile.NamedTemporaryFile("w") as made:
        lines = _lines(signer)
        plain = lines[0].startswith(KEY_TYPES)
        made.write("".join(f"signer {line}\n" for line in lines) if plain else "\n".join(lines) + "\n")
        made.flush()
        for name in (_run(["find-principals", "-s", str(path.absolute()), "-f", made.name]) or "").splitlines():
            with bundle.open("rb") as content:
                words = ["verify", "-f", made.name, "-I", name, "-n", NAMESPACE, "-s", str(path.absolute())]
                if _run(words, content) is not None:
                    return None
    return f"{path.name}: is no signature of {bundle.name} by {signer.name}"


def _lines(key: Path) -> list[str]:
    text = read_regular(key).decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _run(words: list[str], content: BinaryIO | None = None) -> str | None:
    """Return what the program says, or None where it says no."""
    source = subprocess.DEVNULL if content is None else content
    try:
        done = subprocess.run(  # noqa: S603
            [PROGRAM, "-Y", *words], stdin=source, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
