"""Keys of `analysis`: how long users wait, and published bounds."""

from pathlib import Path

import pytest
from refusals import refused

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composer import Composer
from orchestrator.configuration.composition import compose_trials, override_analysis
from orchestrator.configuration.config import CampaignConfig, parse_campaign
from orchestrator.contracts import Code, InputError
from orchestrator.stats.tail_quality import LognormalTolerance, TolerancePoints


def chosen(text: str, stored: AnalysisConfig | None = None) -> AnalysisConfig:
    return override_analysis(stored or AnalysisConfig(), [f"analysis.tolerance={text}"])


@pytest.mark.parametrize(
    ("text", "law", "words"),
    [
        ("{median_ms: 200, sigma: 0.5}", LognormalTolerance(2e8, 0.5), "lognormal, median 200 ms, sigma 0.5"),
        ("{points_ms: [0.1, 300]}", TolerancePoints((1e5, 3e8), (1, 1)), "2 points from 0.1 to 300 ms"),
        ("{points_ms: [300], weights: [2]}", TolerancePoints((3e8,), (2,)), "1 point from 300 to 300 ms"),
    ],
)
def test_a_law_is_read_from_the_command_line(text: str, law: object, words: str) -> None:
    found = chosen(text).tolerance
    assert (found.law, found.words) == (law, words)


def test_one_law_replaces_another_as_a_whole() -> None:
    stored = chosen("{median_ms: 200, p95_ms: 500}")
    assert stored.tolerance.words == "lognormal, median 200 ms, p95 500 ms"
    assert chosen("{points_ms: [7]}", stored).tolerance == chosen("{points_ms: [7]}").tolerance
    assert chosen("null", stored).tolerance is None


def test_a_file_becomes_the_points_that_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("tolerance_ms,weight\n100,3\n250.5,1\n")
    assert chosen(f"{{csv: {path}}}").tolerance == chosen("{points_ms: [100, 250.5], weights: [3, 1]}").tolerance
    path.write_text("tolerance_ms\n100\n")
    composed = parse_campaign({"analysis": {"tolerance": {"csv": str(path)}}})
    assert composed.analysis.tolerance == chosen("{points_ms: [100]}").tolerance
    assert str(path) not in composed.model_dump_json()


def test_a_stored_campaign_cannot_name_a_file(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("tolerance_ms\n100\n")
    with pytest.raises(ValueError, match="csv"):
        CampaignConfig.model_validate({"analysis": {"tolerance": {"csv": str(path)}}})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{median_ms: 20}", "invalid"),
        ("{median_ms: 20, points_ms: [3]}", "invalid"),
        ("{median_ms: 20, p95_ms: 20}", "invalid"),
        ("{points_ms: [1, 2], weights: [1]}", "invalid"),
        ("{points_ms: [0]}", "invalid"),
        ("{csv: a.csv, sigma: 1}", "conflict"),
        ("{csv: no-such-file.csv}", "unreadable"),
    ],
)
def test_a_mistake_is_refused(text: str, code: Code) -> None:
    with refused(code) as caught:
        chosen(text)
    assert caught.value.key.startswith("analysis.tolerance")


@pytest.mark.parametrize(
    "content", ["", "ms\n3\n", "tolerance_ms\n0,5\n", "tolerance_ms\ntrue\n", "tolerance_ms\n", "tolerance_ms,weight\n3\n", "\0"]
)
def test_a_file_of_another_form_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        chosen(f"{{csv: {path}}}")
    assert (caught.value.code in ("unreadable", "invalid"), caught.value.key, caught.value.value) == (True, "analysis.tolerance.csv", path)


# In ms: from arrival to answer, or from arrival to first token and from token to token (loadgen/mlperf.conf).
PUBLISHED = {
    "resnet50_server": [15], "retinanet_server": [100], "bert_server": [130], "dlrm_v2_server": [60], "rnnt_server": [1000],
    "gptj_server": [20_000], "stable_diffusion_xl_server": [20_000], "llama2_70b_server": [2000, 200],
    "llama2_70b_interactive": [450, 40], "mixtral_8x7b_server": [2000, 200], "llama3_1_8b_server": [2000, 100],
    "llama3_1_8b_interactive": [500, 30], "llama3_1_405b_server": [6000, 175], "llama3_1_405b_interactive": [4500, 80],
    "deepseek_r1_server": [2000, 80], "deepseek_r1_interactive": [1500, 15],
}  # fmt: skip


def test_every_profile_holds_what_was_published() -> None:
    with Composer() as composer:
        names = composer.profiles()
    found = {name: override_analysis(AnalysisConfig(), [f"analysis.bounds={name}"]).bounds for name in names}
    assert {name: list(one.bounds_ms.values()) for name, one in found.items()} == {f"mlperf/{name}": ms for name, ms in PUBLISHED.items()}
    assert {(one.name == name, one.share, one.load, one.seconds, *one.bounds_ms) for name, one in found.items()} == {
        (True, 0.99, "poisson", 600, *clocks) for clocks in (["response"], ["first_token", "per_token"])
    }


def test_one_profile_replaces_another_as_a_whole() -> None:
    stored = override_analysis(AnalysisConfig(), ["analysis.bounds=mlperf/bert_server", "analysis.seed=3"])
    (document,) = compose_trials(["model=efficientnet_lite0", "task=imagenet_samples", "analysis.bounds=mlperf/gptj_server"]).documents
    other = override_analysis(stored, ["analysis.bounds=mlperf/gptj_server"])
    assert (other.bounds, other.seed) == (parse_campaign(document).analysis.bounds, 3)
    assert AnalysisConfig.model_validate(other.model_dump(mode="json")) == other
    assert override_analysis(stored, ["analysis.bounds=null"]).bounds is None
    with refused("unknown", "analysis.bounds", "mlperf/bert"):
        override_analysis(stored, ["analysis.bounds=mlperf/bert"])
