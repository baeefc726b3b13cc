"""What is wrong with a path that was given for a campaign's directory, and which one was probably meant."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.storage.layout import CAMPAIGN

BELOW = ("*", "*/*", "results/*/*")
"""Where campaigns lie below a folder that holds several: ``results/<sweep>/<time>``."""
SHOWN = 3


def refuse_no_campaign(directory: Path) -> None:
    """Raise InputError for a path that is no campaign's directory."""
    if not (directory / CAMPAIGN).is_file():
        raise InputError(f"{directory} {_why(directory)}")


def _why(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return f"is a link to {path.readlink()}, which is not there: name the directory of a campaign"
    if not path.exists():
        return f"is not there: name the directory of a campaign, such as {_nearest(path) or 'results/latest'}"
    campaign = _around(path)
    if not path.is_dir():
        return f"is a file, and not the directory of a campaign: name {campaign or 'one, such as results/latest'}"
    if campaign is not None:
        part = "is the folder of one trial" if path.resolve().parent == campaign.resolve() / "trials" else "lies within a campaign"
        return f"{part} and holds no {CAMPAIGN}: name the directory of its campaign, {campaign}"
    below = sorted({found.parent for found in _below(path)}, reverse=True)
    if below:
        listed = ", ".join(map(str, below[:SHOWN])) + (", ..." if len(below) > SHOWN else "")
        return f"holds no {CAMPAIGN} itself: name one of the campaigns below it ({listed})"
    if (path / "report.html").is_file():
        return f"is a report of several campaigns and holds no {CAMPAIGN}: name the campaigns themselves, which it lists"
    return f"holds no {CAMPAIGN}: name the directory of a campaign, such as results/latest"


def _around(path: Path) -> Path | None:
    """Return the campaign's directory that a path lies in, at most four folders up, or None."""
    return next((parent for parent in list(path.absolute().parents)[:4] if (parent / CAMPAIGN).is_file()), None)


def _below(folder: Path) -> Iterator[Path]:
    for places in BELOW:
        yield from folder.glob(f"{places}/{CAMPAIGN}")


def _nearest(path: Path) -> str | None:
    """Return the campaign beside a missing one whose name is most like its own, or None."""
    known = [found.parent.name for found in path.parent.glob(f"*/{CAMPAIGN}")]
    nearest = get_close_matches(path.name, known, n=1)
    return str(path.with_name(nearest[0])) if nearest else None
