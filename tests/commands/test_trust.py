"""``resume`` and ``extend`` run what a campaign names, and refuse where another user could have written it."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from refusals import refused
from stranger import needs_root

from orchestrator.commands import line
from orchestrator.configuration.config import CampaignConfig
from orchestrator.machine.other_users import nobody
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter

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
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_refused(place: str, words: Sequence[str] = ("resume", "r")) -> None:
    """It is named, and taken with consent."""
    with refused("unsafe", "--trust") as caught:
        line.run(words)
    assert f"{place} " in str(caught.value)
    check_taken([*words, "--trust"])


def check_taken(words: Sequence[str] = ("resume", "r")) -> None:
    """Trust is not what is missing: the campaign has no trial to go on with."""
    with refused("no_data"):
        line.run(words)


@pytest.mark.parametrize("words", [["resume", "r"], ["extend", "r", "--rounds", "1"]], ids=["resume", "extend"])
def test_what_every_user_can_write_is_refused(folder: Path, words: list[str]) -> None:
    check_taken(words)
    for place in PLACES:
        path = folder / place
        before = path.stat().st_mode
        path.chmod(before | 0o002)
        check_refused(place, words)
        path.chmod(before)


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("place", PLACES)
def test_what_another_user_owns_or_a_group_may_write_is_refused(folder: Path, place: str) -> None:
    path = folder / place
    os.chown(path, SOMEBODY, -1)
    check_refused(place)
    os.chown(path, 0, SOMEBODY)
    check_taken()
    path.chmod(0o775)
    check_refused(place)


@pytest.mark.parametrize("place", ["code", "code/deep", "r"])
def test_ones_own_links_need_no_trust(folder: Path, place: str) -> None:
    (folder / "moved").mkdir(mode=0o755)
    (folder / place).rename(folder / "moved" / "it")
    (folder / place).symlink_to(folder / "moved" / "it")
    check_taken()


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("place", ["code", "code/deep", "r"])
@pytest.mark.parametrize("stranger", [SOMEBODY, nobody()])
def test_a_link_of_another_user_is_refused_wherever_it_leads(folder: Path, place: str, stranger: int) -> None:
    """The code behind it is the user's own, and the link may lead elsewhere tomorrow."""
    (folder / "theirs").mkdir(mode=0o755)
    (folder / place).rename(folder / "own")
    (folder / "theirs" / "link").symlink_to(folder / "own")
    (folder / place).symlink_to(folder / "theirs" / "link")
    os.chown(folder / "theirs" / "link", stranger, stranger, follow_symlinks=False)
    check_refused("a link on the way to")
    os.chown(folder / "theirs" / "link", 0, 0, follow_symlinks=False)
    os.chown(folder / "theirs", stranger, stranger)
    check_refused("a folder on the way to")


def test_folders_above_the_code_count(folder: Path) -> None:
    """Whoever may write one can exchange what lies in it, unless it is sticky."""
    above = folder / "above"
    above.mkdir()
    (folder / "code").rename(above / "code")
    (folder / "code").symlink_to("above/code")
    above.chmod(0o777)
    check_refused("a folder on the way to")
    for mode in (0o1777, 0o755):
        above.chmod(mode)
        check_taken()


def test_code_behind_a_link_within_the_code_is_looked_at(folder: Path) -> None:
    """Python imports it as any other; a link that leads round in a circle is no trap."""
    (folder / "code" / "deep" / "round").symlink_to("..")
    (folder / "beside").mkdir(mode=0o755)
    (folder / "beside" / "n.py").write_text("")
    (folder / "beside" / "n.py").chmod(0o666)
    (folder / "code" / "linked").symlink_to(folder / "beside")
    check_refused("code/linked/n.py")
