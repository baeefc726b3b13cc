"""Unpack a bundle that anybody may have made: files alone, under plain names, of the sizes and digests that its manifest gives them."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bundling.archive import Member, Unreadable, looks_like_archive, members, seal_of
from orchestrator.bundling.manifest import MOST_BYTES, NAME, BrokenManifest, BundledFile, Manifest, NewerBundle, manifest_of
from orchestrator.contracts import InputError

MOST_TIMES = 1000
"""No bundle unpacks to more than so many times its own size; text packs to a twentieth."""
MOST_MISSING = 20
"""Missing files that are named one by one."""
LONGEST_NAME = 200
NO_BUNDLE = "name a file that `bundle` has written"


@dataclass(frozen=True)
class Unpacked:
    """What came out of a bundle.

    manifest
        None where it cannot be read.
    problems
        one line each, the name of the file first; none where every file is what was bundled.
    """

    manifest: Manifest | None
    problems: tuple[str, ...]


def unpack(path: Path, folder: Path) -> Unpacked:
    """Write the files of a bundle into a folder that is empty, and say what is not as it was bundled.

    Nothing is written but regular files that the manifest names, none over another. What comes after something that no bundle of this
    program holds is not read.

    Raises
    ------
    InputError
        for what is no bundle, one of a newer program, and one that would need more room than there is.
    """
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'not there'}: {NO_BUNDLE}")
    if not looks_like_archive(path):
        raise InputError(f"{path} is no bundle (it neither begins as .tar.zst does nor ends with a seal): {NO_BUNDLE}")
    seal = seal_of(path)
    manifest, problems = _unpack(path, folder, sealed=seal != "none")
    if seal != "whole" and not problems:
        what = "its seal does not fit" if seal == "broken" else "the seal at its end is not whole"
        problems.append(f"{path.name}: was changed where no file lies ({what}); every file in it is as it was bundled")
    return Unpacked(manifest, tuple(problems))


def _unpack(path: Path, folder: Path, sealed: bool) -> tuple[Manifest | None, list[str]]:
    manifest, seen, last = None, set[str](), "its beginning"
    problems: list[str] = []
    try:
        for member in members(path):
            if manifest is None:
                if member.name != NAME or not member.is_file:
                    raise Unreadable(f"its first file must be {NAME}")
                manifest = _read_manifest(path, member, folder)
            else:
                known = manifest.files.get(member.name)
                if strange := _strange(member, known, seen):
                    return manifest, [*problems, f"{member.name[:LONGEST_NAME]}: {strange}; what comes after it was not read"]
                assert known is not None
                if _write(member, folder / member.name) != known.sha256:
                    problems.append(f"{member.name}: is not what was bundled (its SHA-256 is not that of {NAME})")
                seen.add(member.name)
            last = member.name
    except BrokenManifest as error:
        if not sealed:
            raise InputError(f"{path} is no bundle (its {NAME} is not ours): {NO_BUNDLE}") from error
        return None, [f"{NAME}: is not what was written ({error}), so that no other file can be checked"]
    except NewerBundle as error:
        raise InputError(f"{path} {error}: upgrade tail-quality") from error
    except Unreadable as error:
        if manifest is None and not sealed:
            raise InputError(f"{path} is no bundle ({error}): {NO_BUNDLE}") from error
        return manifest, [*problems, f"{path.name}: cannot be read beyond {last} ({error})"]
    if manifest is None:
        raise InputError(f"{path} is no bundle (it holds no file): {NO_BUNDLE}")
    return manifest, [*problems, *_missing(manifest, seen, last)]


def _read_manifest(path: Path, member: Member, folder: Path) -> Manifest:
    if member.size_bytes > MOST_BYTES:
        raise BrokenManifest(f"it has more than {MOST_BYTES:,} bytes")
    manifest = manifest_of(b"".join(member.chunks))
    needed, size = manifest.total_bytes, path.stat().st_size
    if needed > MOST_TIMES * size:
        raise InputError(
            f"{path} would unpack to {needed:,} bytes, more than {MOST_TIMES:,} times its size: no bundle does; do not open it"
        )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{path} needs {needed:,} bytes and {folder.parent} has {free:,}: choose another place with TMPDIR=FOLDER")
    return manifest


def _strange(member: Member, known: BundledFile | None, seen: set[str]) -> str | None:
    """Return what no bundle holds, or None."""
    if known is None:
        return f"is not in {NAME}"
    if not member.is_file:
        return "is no regular file, and a bundle holds nothing else"
    if member.name in seen:
        return "is there twice"
    if member.size_bytes != known.size_bytes:
        return f"has {member.size_bytes:,} bytes, and {known.size_bytes:,} by {NAME}"
    return None


def _write(member: Member, path: Path) -> str:
    """Write a file that is not there yet and return its digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for block in member.chunks:
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _missing(manifest: Manifest, seen: set[str], last: str) -> Iterator[str]:
    missing = sorted(set(manifest.files) - seen)
    for name in missing[:MOST_MISSING]:
        yield f"{name}: is missing"
    if len(missing) > MOST_MISSING:
        yield f"{len(missing) - MOST_MISSING} more files are missing after {last}"
