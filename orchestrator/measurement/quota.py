"""How much processor time control groups allow this process, versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.measurement.environment import read_text


@dataclass(frozen=True)
class Quota:
    """The tightest quota above this process. ``cores`` is processor time per time; ``version`` that of the control groups."""

    cores: float
    period_us: int
    version: int


def read_quota() -> Quota | None:
    """Return this process's quota, or None where there is none."""
    return find_quota(read_text(Path("/proc/self/cgroup")) or "", read_text(Path("/proc/self/mountinfo")) or "")


def find_quota(cgroup: str, mountinfo: str) -> Quota | None:
    """Return the tightest quota among a process's groups and those they are in.

    Parameters
    ----------
    cgroup, mountinfo
        texts of the files of these names in ``/proc/PID``.
    """
    own = dict(_own_groups(cgroup))
    quotas = [
        quota
        for version, root, mount in _mounts(mountinfo)
        if version in own
        for folder in _upward(own[version], root, mount)
        if (quota := _quota(folder, version)) is not None
    ]
    return min(quotas, key=lambda quota: quota.cores, default=None)


def _own_groups(cgroup: str) -> Iterator[tuple[int, str]]:
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield 2, path
        elif "cpu" in controllers.split(","):
            yield 1, path


def _mounts(mountinfo: str) -> Iterator[tuple[int, str, Path]]:
    """Yield version, the group that is mounted, and where."""
    for line in mountinfo.splitlines():
        place, _, system = line.partition(" - ")
        root, mount = (text.replace("\\040", " ") for text in place.split()[3:5])
        kind, *_, options = system.split()
        if kind == "cgroup2":
            yield 2, root, Path(mount)
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield 1, root, Path(mount)


def _upward(own: str, root: str, mount: Path) -> Iterator[Path]:
    """Yield the folder of a group and of those it is in, as far as they are mounted.

    In a container the group may lie outside what is mounted: there the mount itself is the group.
    """
    below = Path(own).relative_to(root) if Path(own).is_relative_to(root) else Path()
    folder = mount / below
    if ".." in below.parts or not folder.is_dir():
        folder = mount
    yield folder
    yield from (parent for parent in folder.parents if parent.is_relative_to(mount))


def _quota(folder: Path, version: int) -> Quota | None:
    if version == 2:
        quota, _, period = (read_text(folder / "cpu.max") or "").partition(" ")
    else:
        quota, period = (read_text(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
    if not (quota.isdigit() and period.isdigit()):  # "max" and -1 are none
        return None
    return Quota(int(quota) / int(period), int(period), version)
