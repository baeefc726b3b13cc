from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from program import Call

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.reader import Campaign, open_campaign


class Found(NamedTuple):
    """A campaign that was imported, and what analysis finds in it."""

    campaign: Campaign
    tables: dict[str, pa.Table]
    out: str

    def only(self) -> Any:
        (trial,) = self.campaign.trials()
        return trial

    def rows(self, name: str, **where: object) -> list[dict[str, Any]]:
        table = self.tables[name]
        for column, value in where.items():
            table = table.filter(pc.equal(table.column(column), value))
        return table.to_pylist()

    def percentile(self, percent: float, clock: str = "inference") -> int:
        (row,) = self.rows("latency", clock=clock, percentile=percent)
        return int(row["value_ns"])


Import = Callable[..., Found]


@pytest.fixture
def imported(call: Call, tmp_path: Path) -> Import:
    """Import files into a new campaign, and analyse it."""

    def run(*words: object, analysis: AnalysisConfig | None = None) -> Found:
        directory = tmp_path / f"results-{len(list(tmp_path.glob('results-*')))}"
        answer = call("import", *words, "--task", "asked", "--quiet", f"results_dir={directory}")
        assert (answer.returncode, answer.stderr) == (0, "")
        campaign = open_campaign(directory)
        return Found(campaign, dict(analyse(campaign, analysis or AnalysisConfig()).tables), answer.stdout)

    return run
