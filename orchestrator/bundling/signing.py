"""Signatures of a bundle by programs that exist for that: ``ssh-keygen -Y`` and ``minisign``. No cryptography is ours."""

import base64
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from orchestrator.contracts import InputError
from orchestrator.storage.load import read_regular

NAMESPACE = "tail-quality-bundle"
"""What a signature of OpenSSH is for, so that one of a bundle is none of anything else."""
ENDINGS = {"ssh-keygen": ".sig", "minisign": ".minisig"}
KEY_TYPES = ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-")
SIGNER = "signer"
"""What the one signer of a plain public key is called."""
INSTALL = {"ssh-keygen": "it is part of OpenSSH", "minisign": "see https://jedisct1.github.io/minisign"}
PUBLIC_BYTES, SECRET_BYTES = 42, 158
"""Of minisign's keys, as its page lays them out."""
LONGEST = 2**20
PATIENCE_S = 60

Program = Literal["ssh-keygen", "minisign"]


def signature_of(bundle: Path, program: Program) -> Path:
    """Return where the signature of a bundle by a program lies: beside it."""
    return bundle.with_name(bundle.name + ENDINGS[program])


def signatures(bundle: Path) -> list[Path]:
    """Return the signatures that lie beside a bundle."""
    programs: tuple[Program, ...] = ("ssh-keygen", "minisign")
    return [path for program in programs if (path := signature_of(bundle, program)).is_file()]


def check_key(key: Path, option: str = "--sign") -> None:
    """Raise InputError for a file that is no key of its kind, and where its program is not installed: before anything takes long."""
    _found(_program_of(key, option))


def sign(bundle: Path, key: Path) -> Path:
    """Sign a bundle and return the signature's file; a pass phrase is asked for by the program itself.

    Parameters
    ----------
    key
        a private key of OpenSSH, a public one whose private half an agent holds, or a secret key of minisign.

    Raises
    ------
    InputError
        for a file that is no such key, a program that is not installed, and one that does not sign.
    """
    program = _program_of(key, "--sign")
    path = signature_of(bundle, program)
    path.unlink(missing_ok=True)  # ssh-keygen would ask whether to replace it
    if program == "ssh-keygen":
        words = ["-Y", "sign", "-q", "-f", str(key.resolve()), "-n", NAMESPACE, str(bundle.resolve())]
    else:
        words = ["-S", "-s", str(key.resolve()), "-m", str(bundle.resolve()), "-x", str(path.resolve())]
    done = subprocess.run([_found(program), *words], stdout=2, check=False)  # noqa: S603
    if done.returncode or not path.is_file():
        raise InputError(
            f"--sign {key}: {program} did not sign (exit code {done.returncode}): see what it says, and whether key and pass phrase are "
            f"yours; {bundle.name} is written and not signed"
        )
    return path


def complaint(bundle: Path, signer: Path) -> str | None:
    """Return why a bundle is not signed by a signer, in words, or None where it is.

    Parameters
    ----------
    signer
        a public key of OpenSSH or of minisign, or OpenSSH's file of allowed signers.

    Raises
    ------
    InputError
        for a file that is none of these, and for a program that is not installed.
    """
    program = _program_of(signer, "--signer")
    path = signature_of(bundle, program)
    if not path.is_file():
        return f"{path.name}: is missing, so that {bundle.name} is not signed by {signer.name}"
    found = _found(program)
    if program == "minisign":
        words = [found, "-V", "-q", "-p", str(signer.resolve()), "-m", str(bundle.resolve()), "-x", str(path.resolve())]
        return None if _run(words) is not None else _not_signed(bundle, path, signer)
    with tempfile.TemporaryDirectory() as folder:
        allowed = _allowed(signer, Path(folder))
        names = _run([found, "-Y", "find-principals", "-s", str(path.resolve()), "-f", str(allowed)])
        for name in (names or "").splitlines():
            words = [found, "-Y", "verify", "-f", str(allowed), "-I", name, "-n", NAMESPACE, "-s", str(path.resolve())]
            with bundle.open("rb") as content:
                if _run(words, content) is not None:
                    return None
    return _not_signed(bundle, path, signer)


def _not_signed(bundle: Path, path: Path, signer: Path) -> str:
    return f"{path.name}: is no signature of {bundle.name} by {signer.name}"


def _program_of(key: Path, option: str) -> Program:
    """Return the program that a key is for, by how its file begins. Raises InputError for a file that is no key."""
    try:
        begins = read_regular(key)[:LONGEST].decode("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{option} {key}: cannot be read ({error.strerror}): name a key of ssh-keygen or of minisign") from error
    lines = [line for line in begins.splitlines() if line.strip() and not line.startswith("#")]
    if lines and lines[0].startswith("untrusted comment:"):
        _check_minisign(key, lines, option)
        return "minisign"
    if lines and "PRIVATE KEY-----" in lines[0]:
        if option == "--signer":
            raise InputError(f"{option} {key}: is a private key; name the public one, {key}.pub")
        return "ssh-keygen"
    if lines and any(word.startswith(KEY_TYPES) for word in lines[0].split()):
        return "ssh-keygen"
    raise InputError(f"{option} {key}: is no key of ssh-keygen or of minisign: name one, such as ~/.ssh/id_ed25519")


def _check_minisign(key: Path, lines: Sequence[str], option: str) -> None:
    """Raise InputError for the wrong half of minisign's pair, and for what is neither: by the lengths that its page gives."""
    try:
        length = len(base64.b64decode(lines[1], validate=True)) if len(lines) > 1 else 0
    except ValueError:
        length = 0
    if option == "--signer" and length == SECRET_BYTES:
        raise InputError(f"{option} {key}: is a secret key of minisign; name the public one, which `minisign -R -s {key}` writes anew")
    if option == "--sign" and length == PUBLIC_BYTES:
        raise InputError(f"{option} {key}: is a public key of minisign; name the secret one, such as ~/.minisign/minisign.key")
    if length not in (SECRET_BYTES, PUBLIC_BYTES):
        raise InputError(f"{option} {key}: is no whole key of minisign: copy it again, or make one with `minisign -G`")


def _allowed(signer: Path, folder: Path) -> Path:
    """Return a file of allowed signers: the given one, or one made of a plain public key."""
    lines = [line for line in signer.read_text("utf-8", "replace").splitlines() if line.strip() and not line.startswith("#")]
    if not lines[0].startswith(KEY_TYPES):
        return signer.resolve()
    made = folder / "allowed_signers"
    made.write_text("".join(f"{SIGNER} {line}\n" for line in lines if line.startswith(KEY_TYPES)), "utf-8")
    return made


def _found(program: Program) -> str:
    path = shutil.which(program)
    if path is None:
        raise InputError(f"{program} is not installed, and this key is one of its own: install it ({INSTALL[program]})")
    return path


def _run(words: Sequence[str], content: BinaryIO | None = None) -> str | None:
    """Return what a program says, or None where it says no."""
    source = subprocess.DEVNULL if content is None else content
    try:
        done = subprocess.run(words, stdin=source, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
