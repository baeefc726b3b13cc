"""``resume`` and ``extend`` run what a campaign names, and refuse where another user could have written it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.configuration.config import CampaignConfig
from orchestrator.machine.other_users import nobody
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter

Call = Callable[..., tuple[int, str, str]]
GOING_ON = [["resume", "r"], ["extend", "r", "--rounds", "1"]]
PLACES = [
    "r",
    "r/campaign.json",
    "r/overrides.yaml",
    "r/trials",
    "r/trials/a-r0",
    "r/trials/a-r0/trial.json",
    "code",
    "code/deep",
    "code/deep/m.py",
]
SOMEBODY = 54321


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A campaign without trials, whose code lies in a folder of its own; only its owner may write any of it."""
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "deep" / "m.py").write_text("")
    record = CampaignRecord(code_version="1", name="vision", config=CampaignConfig(code=(str(tmp_path / "code"),)))
    CampaignWriter.create(tmp_path / "r", record).close()
    (tmp_path / "r" / "trials" / "a-r0").mkdir(parents=True)
    (tmp_path / "r" / "trials" / "a-r0" / "trial.json").write_text("{}")
    for place in PLACES:
        path = tmp_path / place
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path


def test_ones_own_campaign_needs_no_trust(call: Call, folder: Path) -> None:
    for words in GOING_ON:
        code, _, err = call(*words)
        assert code == 2
        assert err.startswith("error: r has nothing to go on with")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("words", GOING_ON, ids=["resume", "extend"])
def test_what_every_user_can_write_is_refused(call: Call, folder: Path, place: str, words: list[str]) -> None:
    path = folder / place
    path.chmod(path.stat().st_mode | 0o002)
    shown = place if place.startswith("r") else str(path)
    told = f"{shown} can be written by every user: {words[0]} runs the code that a campaign names, as you"
    assert call(*words) == (2, "", f"error: {told}; see that you trust all of it, and add --trust\n")
    code, _, err = call(*words, "--trust")
    first, second = err.splitlines()
    assert (code, first) == (2, f"--trust: {told}")
    assert second.startswith("error: r has nothing to go on with")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root: run the tests as root")
@pytest.mark.parametrize("place", PLACES)
def test_what_belongs_to_another_user_is_refused_for_root_too(call: Call, folder: Path, place: str) -> None:
    os.chown(folder / place, SOMEBODY, SOMEBODY)
    for words in GOING_ON:
        code, out, err = call(*words)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert f"{place} belongs to user {SOMEBODY}, another user: {words[0]} runs the code" in line
        assert "nothing to go on with" in call(*words, "--trust")[2]


def test_how_many_more_there_are_is_told(call: Call, folder: Path) -> None:
    for place in PLACES:
        (folder / place).chmod(0o777)
    assert f"r can be written by every user (and {len(PLACES) - 1} more of its files and folders): " in call("resume", "r")[2]


def test_what_runs_no_code_asks_for_no_trust(call: Call, folder: Path) -> None:
    (folder / "r" / "trials" / "a-r0" / "trial.json").unlink()
    (folder / "r").chmod(0o777)
    assert call("status", "r")[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another group takes root: run the tests as root")
@pytest.mark.parametrize("place", PLACES)
def test_what_a_group_may_write_is_refused(call: Call, folder: Path, place: str) -> None:
    os.chown(folder / place, -1, SOMEBODY)
    assert "nothing to go on with" in call("resume", "r")[2]
    (folder / place).chmod(0o775)
    assert f"{place} can be written by the group {SOMEBODY}: resume runs the code" in call("resume", "r")[2]


def told_of(call: Call, folder: Path) -> str:
    """Return what is refused; it takes nothing back but trust."""
    code, _, err = call("resume", "r")
    assert code == 2
    assert "nothing to go on with" in call("resume", "r", "--trust")[2]
    return err


@pytest.mark.parametrize("place", ["code", "code/deep", "r"])
def test_ones_own_links_need_no_trust(call: Call, folder: Path, place: str) -> None:
    (folder / "moved").mkdir(mode=0o755)
    (folder / place).rename(folder / "moved" / "it")
    (folder / place).symlink_to(folder / "moved" / "it")
    assert "nothing to go on with" in call("resume", "r")[2]


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a link to another user takes root: run the tests as root")
@pytest.mark.parametrize("place", ["code", "code/deep", "r"])
@pytest.mark.parametrize("stranger", [SOMEBODY, nobody()])
def test_a_link_of_another_user_is_refused_wherever_it_leads(call: Call, folder: Path, place: str, stranger: int) -> None:
    """The code behind it is the user's own, and the link may lead elsewhere tomorrow."""
    (folder / "theirs").mkdir(mode=0o755)
    (folder / place).rename(folder / "own")
    (folder / "theirs" / "link").symlink_to(folder / "own")
    (folder / place).symlink_to(folder / "theirs" / "link")
    os.chown(folder / "theirs" / "link", stranger, stranger, follow_symlinks=False)
    assert "theirs/link, a link on the way to " in told_of(call, folder)
    os.chown(folder / "theirs" / "link", 0, 0, follow_symlinks=False)
    os.chown(folder / "theirs", stranger, stranger)
    assert "theirs, a folder on the way to " in told_of(call, folder)


def test_folders_above_the_code_count(call: Call, folder: Path) -> None:
    """Whoever may write one can exchange what lies in it, unless it is sticky."""
    above = folder / "above"
    above.mkdir()
    (folder / "code").rename(above / "code")
    (folder / "code").symlink_to("above/code")
    for mode, refused in ((0o777, True), (0o1777, False), (0o755, False)):
        above.chmod(mode)
        assert ("above, a folder on the way to" in call("resume", "r")[2]) is refused
    if os.geteuid() == 0:
        os.chown(above, SOMEBODY, SOMEBODY)
        assert "above, a folder on the way to" in told_of(call, folder)
        os.chown(above, nobody(), nobody())
        assert "nothing to go on with" in call("resume", "r")[2]


def test_code_behind_a_link_within_the_code_is_looked_at(call: Call, folder: Path) -> None:
    """Python imports it as any other; a link that leads round in a circle is no trap."""
    (folder / "code" / "deep" / "round").symlink_to("..")
    (folder / "beside").mkdir(mode=0o755)
    (folder / "beside" / "n.py").write_text("")
    (folder / "beside" / "n.py").chmod(0o666)
    (folder / "code" / "linked").symlink_to(folder / "beside")
    assert "code/linked/n.py can be written by every user" in told_of(call, folder)
