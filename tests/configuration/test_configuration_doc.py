import re
from pathlib import Path

from orchestrator.configuration.composition import compose_trials

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_sweep_file_on_the_page_composes(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "shown.yaml").write_text(shown)
    composition = compose_trials(["+sweep=shown"], config_dirs=[tmp_path])
    rows = [(each["model"]["name"], each["system"]["name"], each["measurement"]["batch"]) for each in composition.documents]
    assert rows == [("resnet18", "cpu_1core", 1), ("resnet18", "cpu_all", 1), ("vit_b_16", "cpu_all", 8)]
    assert composition.excluded == 1
