"""Files that were damaged at random are imported rightly or refused in one line; never is there a traceback."""

import json
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from effort import EFFORT
from peer_files import PEERS, needs_peers

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow
PER_FORMAT = 10 * EFFORT


def sources(folder: Path) -> dict[str, Path]:
    """A good file of each format."""
    rng = random.Random(7)
    keys = ("round", "sample", "inference_ns", "score_x", "arrival_ns", "start_ns", "first_token_ns", "tokens")
    rows = [
        (
            number // 10,
            number % 10,
            rng.randint(10, 10**7),
            1.0,
            10**8 * number,
            10**8 * number + rng.randint(0, 9**7),
            rng.randint(1, 9),
            3,
        )
        for number in range(60)
    ]
    (folder / "t.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in (keys, *rows)))
    lists = [dict(zip(keys, row, strict=True)) | {"token_gaps_ns": [1, 0]} for row in rows]
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lists))
    pq.write_table(pa.Table.from_pylist(lists), folder / "t.parquet")
    return {"csv": folder / "t.csv", "jsonl": folder / "t.jsonl", "parquet": folder / "t.parquet"}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to three changes: bytes flipped, removed, doubled, cut off, or a number or word replaced by a strange one."""
    strange = [
        b"-1",
        b"NaN",
        b"1e400",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"99999999999999999999999",
        b"\xff\xfe",
        b"\x00",
        b"",
        b"true",
        b"Infinity",
    ]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(content) or 1)
        how = rng.randrange(6)
        if how == 0:
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        elif how == 1:
            content = content[:at] + content[at + rng.randint(1, 40) :]
        elif how == 2:
            content = content[:at] + content[at : at + 30] + content[at:]
        elif how == 3:
            content = content[: at + 1]
        else:
            end = next((i for i in range(at, min(at + 30, len(content))) if content[i : i + 1] in b",:]}\n"), at + 1)
            begin = next((i + 1 for i in range(at, max(0, at - 30), -1) if content[i : i + 1] in b",:[{\n"), at)
            content = content[:begin] + rng.choice(strange) + content[max(begin, end) :]
    return content


def try_all(form: str, source: Path, call, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    original = source.read_bytes()
    place = tmp_path / "mutated"
    place.mkdir()
    path = place / source.name
    if (log := source.with_name("mlperf_log_detail.txt")).exists():  # without it a trace is no schedule
        shutil.copy(log, place)
    for number in range(PER_FORMAT):
        path.write_bytes(mutated(original, rng))
        results = tmp_path / f"results-{number}"
        answer = call("import", path, "--format", form, "--task", "t", "--quiet", f"results_dir={results}")
        if answer.returncode == 0:
            campaign = open_campaign(results)
            for trial in campaign.trials():
                assert trial.state == "done"
                assert campaign.timings(trial.trial_id).num_rows
            if number % 5 == 0:
                assert analyse(campaign, AnalysisConfig()).tables["latency"].num_rows
            shutil.rmtree(results)
        else:
            assert (answer.returncode, answer.stdout, len(answer.stderr.splitlines())) == (2, "", 1), answer
            assert not results.exists(), answer


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_tables(name: str, call, tmp_path: Path) -> None:
    try_all("table", sources(tmp_path)[name], call, tmp_path, seed=sum(name.encode()))


@needs_peers
@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("guidellm", "guidellm/benchmarks.json"),
        ("aiperf", "aiperf/profile_export.jsonl"),
        ("perf_analyzer", "perf_analyzer/profile_export_tiny.json"),
        ("loadgen", "mlperf_loadgen/mlperf_log_trace.json"),
    ],
)
def test_recorded_files(form: str, name: str, call, tmp_path: Path) -> None:
    try_all(form, PEERS / name, call, tmp_path, seed=sum(name.encode()))
