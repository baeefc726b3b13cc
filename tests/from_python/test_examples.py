import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), "2"])
    runpy.run_path(str(path), run_name="__main__")
    told = capsys.readouterr()
    assert told.out.strip()
    assert "2 rounds" in told.err


def test_the_gallery_has_a_small_picture_of_each_example() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    for path in EXAMPLES:
        assert f"(../examples/{path.name})" in page
        assert (ROOT / "docs" / "gallery" / f"{path.stem}.png").stat().st_size < 60_000
    assert len(re.findall(r"gallery/\w+\.png", page)) == len(EXAMPLES)
