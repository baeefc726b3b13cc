"""Campaigns stored by version 0.2.0, and what every verb that reads results found in them then.

``tests/corpus/campaigns.tar.xz`` holds what was measured, without result tables and reports, and
files of other programs to import; ``tests/corpus/expected/`` holds the tables of each case.
"""

import csv
import fnmatch
import io
import json
import lzma
import math
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import program
import pyarrow.parquet as pq

FOLDER = Path(__file__).parents[1] / "corpus"
ARCHIVE = FOLDER / "campaigns.tar.xz"
EXPECTED = FOLDER / "expected"
TOLERANCE = 1e-12
"""Largest relative difference of two numbers that are said to be equal."""

Table = dict[str, list[Any]]
"""Columns by name. Those of a document need not be equally long."""
Tables = dict[str, Table]

EXCLUDED = {
    "*.version": "the version that wrote a document",
    "*.code_version": "the version that wrote a document",
    "baseline.json.created_at": "the moment at which it was written",
}
"""Columns that depend on the clock, the version or the host, and why."""

SENTENCES = (".said", ".missing", ".note", ".title")
"""Ends of the names of columns of which the numbers count, and not the words."""

KEYS = (
    "trial", "id", "series", "campaign", "metric", "slice", "clock", "threshold",
    "threshold_origin", "threshold_reference", "first_round", "scope", "baseline", "percentile",
    "evidence", "column", "search", "rate_per_s", "tolerance", "against", "policy", "quality_share",
    "round", "sample",
)  # fmt: skip
"""Columns by which a row of one table is found in another; rows of equal keys stay in order."""


class Call(NamedTuple):
    """A command line, and the files that it writes; {trial} stands for the first trial."""

    words: tuple[str, ...]
    files: tuple[str, ...] = ()
    told: bool = False
    """Whether the numbers that it prints are compared, as there is no table of them."""


def call(words: str, *files: str, told: bool = False) -> Call:
    """Return a call of words with spaces between them; ~ stands for a space within a word."""
    return Call(tuple(word.replace("~", " ") for word in words.split()), files, told)


def _read(name: str, *more: Call) -> list[Call]:
    """Return what every campaign is asked."""
    where, to = f"c/{name}", f"out/{name.replace('/', '-')}-assess"
    files = f"--json {to}.json --junit {to}.xml"
    return [
        call(f"report {where} --full", f"{where}/*.parquet"),
        call(f"status {where}", told=True),
        call(f"inspect {where} {{trial}} --top 5", told=True),
        call(f"explain {where}", told=True),
        call(f"explain {where} {{trial}}", told=True),
        call(f"assess {where} --requirements requirements.yaml {files}", f"{to}.*"),
        *more,
    ]


def _replay(name: str, rates: str, options: str = "") -> Call:
    to = f"out/{name}-replay-{len(options)}"
    return call(f"replay c/{name} --rate {rates} --to {to} {options}", f"{to}/replay.parquet")


def _export(name: str) -> Call:
    to = f"out/{name}-export"
    return call(f"export c/{name} --to {to} --format csv,latex,parquet", f"{to}/*")


def _import(name: str, files: str, form: str, *words: str) -> list[Call]:
    to = f"out/import-{name}"
    given = " ".join([f"results_dir={to}", *words])
    return [
        call(f"import imports/{files} --format {form} --task asked --quiet {given}"),
        call(f"report {to}", f"{to}/*.parquet"),
        call(f"status {to}", told=True),
    ]


DAYS = [f"c/history/day{day}" for day in range(1, 9)]
MAP = ("round=pass", "sample=id", "preprocess_ms=pre_ms", "inference_ms=latency_ms")
MAPPED = " ".join(f"--map {word}" for word in MAP)
OTHER_SETTINGS = " ".join(
    f"analysis.{word}"
    for word in (
        "primary=p90", "percentiles=[50,90]", "metrics=[top5,top1]", "deadline.quality=0.9",
        "thresholds_ms=[0.8]", "seed=3",
    )
)  # fmt: skip
OTHER_METRIC = "analysis.metrics=[f1_macro] analysis.tolerance={points_ms:~[4,~8,~20]}"
ASKED = "--requirements requirements.yaml"
FALLBACK = "--deadline 1~ms --fallback echo-numbers-cpu_1core-torch-b1-89b43e82-r0"
SKIP = "--group 2 --policy skip_late"
CASES: dict[str, list[Call]] = {
    "vision": _read("vision"),
    "other-settings": [
        call(f"report c/repeats {OTHER_SETTINGS}", "c/repeats/*.parquet"),
        call(f"report c/reviews {OTHER_METRIC}", "c/reviews/*.parquet"),
    ],
    "repeats": _read("repeats", _export("repeats")),
    "detection": _read("detection"),
    "reviews": _read("reviews"),
    "language": _read("language"),
    "chat": _read("chat"),
    "server-cost": _read("server_cost"),
    "load": _read("load"),
    "streams": _read("streams", _export("streams")),
    "batches": _read("batches"),
    "capacity": _read("capacity"),
    "searched": _read("searched/a"),
    "found": _read("found")[:2],
    "rounds64": _read(
        "rounds64",
        _replay("rounds64", "300,900", "--policy newest --late-in 2/10 --error-after 5~ms"),
        _replay("rounds64", "500", "--load gamma --burstiness 0.5 --deadline 2~ms --queue-limit 3"),
    ),
    "rounds120": _read("rounds120", _replay("rounds120", "700", f"--load periodic {SKIP}")),
    "pinned": _read("pinned", _replay("pinned", "600", FALLBACK)),
    "broken": _read("broken"),
    "pairs": [
        call(
            "compare c/pairs/a c/pairs/b --gate --power --full --json out/pairs.json",
            "out/pairs.json",
        ),
        call("report c/pairs/a", "c/pairs/a/*.parquet"),
    ],
    "compare": [
        call(
            "compare c/history/day1 c/history/day6 --gate --power --json out/days.json",
            "out/days.json",
        ),
        call(
            "compare c/history/day1 c/history/day2 --gate --json out/same.json",
            "out/same.json",
        ),
        call(
            "compare c/searched/a c/searched/b --gate --full --json out/capacities.json",
            "out/capacities.json",
        ),
        call("compare c/repeats c/history/day7 --full --json out/others.json", "out/others.json"),
    ],
    "baselines": [
        call(f"export baseline out/baseline.json {DAYS[0]}"),
        *(call(f"export baseline --add out/baseline.json {day}") for day in DAYS[1:4]),
        call(f"export baseline --add out/baseline.json {DAYS[4]}", "out/baseline.json"),
        call(
            f"compare out/baseline.json {DAYS[6]} --gate --min-effect 10 --json out/held.json",
            "out/held.json",
        ),
    ],
    "history": [
        *(call(f"report {day}") for day in DAYS),
        call("history c/history --threshold 0.8~ms --to out/history", "out/history/*.parquet"),
        call("history c/history --by code --to out/by-code", "out/by-code/*.parquet"),
        call("history c/weeks --to out/weeks", "out/weeks/*.parquet"),
    ],
    "several": [
        call(
            f"report {' '.join(DAYS[:3])} --into out/several",
            "out/several/*.parquet",
        ),
        call(
            f"assess {' '.join(DAYS[:5])} {ASKED} --json out/sessions.json",
            "out/sessions.json",
        ),
    ],
    "study": [call("study c/vision c/reviews c/detection --to out/study", "out/study/study.json")],
    "bundle": [
        call("bundle c/repeats out/repeats.tar.zst --requirements requirements.yaml"),
        call("verify out/repeats.tar.zst", told=True),
    ],
    "imports": [
        *_import(
            "table",
            "table.csv",
            "table",
            MAPPED,
            "analysis.slices=[kind]",
            "analysis.primary=12~ms",
        ),
        *_import("guidellm", "guidellm.json", "guidellm", "analysis.thresholds_ms=[250]"),
        *_import("aiperf", "aiperf.jsonl", "aiperf", "analysis.thresholds_ms=[400]"),
        *_import("perf_analyzer", "perf_analyzer.json", "perf_analyzer"),
        *_import("loadgen", "loadgen", "loadgen", "analysis.thresholds_ms=[5]"),
        *_import("vllm", "vllm.json", "vllm", "analysis.primary=200~ms"),
        *_import("paper", "All_Times.pickle", "paper"),
    ],
}


def unpack(folder: Path) -> Path:
    """Unpack the corpus into a folder, and return it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    (folder / "out").mkdir()
    return folder


def first_trial(folder: Path, words: Sequence[str]) -> str:
    """Return the id of the first trial of the campaign that a command line names second."""
    return min(path.name for path in (folder / words[1] / "trials").iterdir())


def found_in(case: str, folder: Path) -> Tables:
    """Ask what a case asks of the corpus in a folder, and return all tables.

    Their names begin with the verb, and its number from its second call on: ``replay-2/replay``.
    """
    found: Tables = {}
    seen = Counter[str]()
    for words, files, told in CASES[case]:
        trial = first_trial(folder, words) if "{trial}" in words else ""
        shown = [trial if word == "{trial}" else word for word in words]
        done = program.orchestrator(*shown, cwd=folder)
        seen[words[0]] += 1
        name = words[0] if seen[words[0]] == 1 else f"{words[0]}-{seen[words[0]]}"
        if "Traceback" in done.stderr:
            raise AssertionError(f"{' '.join(words)}: {done.stderr[-2000:]}")
        found[name] = {"exit_code": [done.returncode]}
        if told:
            found[name]["numbers"] = numbers_in(done.stdout)
        for pattern in files:
            paths = sorted(path for path in folder.glob(pattern) if path.suffix in READERS)
            if not paths:
                raise AssertionError(f"{' '.join(words)}: wrote no {pattern}: {done.stderr[-500:]}")
            for path in paths:
                for inner, table in READERS[path.suffix](path):
                    found[f"{name}/{inner}"] = table
    return {name: without_excluded(name, table) for name, table in found.items()}


def without_excluded(name: str, table: Table) -> Table:
    """Return a table without the columns of `EXCLUDED`."""
    last = name.rpartition("/")[2]
    return {
        column: cells
        for column, cells in table.items()
        if not any(fnmatch.fnmatchcase(f"{last}.{column}", pattern) for pattern in EXCLUDED)
    }


NUMBER = re.compile(r"(?<![\w.:-])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w:-])")


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a text, each as often as it occurs, in an order of their own."""
    return sorted(NUMBER.findall(text))


def _parquet(path: Path) -> Iterator[tuple[str, Table]]:
    columns = pq.read_table(path).to_pydict()
    yield path.stem, json.loads(json.dumps(columns, default=str))


def _csv(path: Path) -> Iterator[tuple[str, Table]]:
    head, *rows = csv.reader(io.StringIO(path.read_text("utf-8")))
    yield path.name, {name: [_cell(row[place]) for row in rows] for place, name in enumerate(head)}


def _cell(text: str) -> Any:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _json(path: Path) -> Iterator[tuple[str, Table]]:
    columns: Table = {}
    for place, value in _leaves(json.loads(path.read_text("utf-8"))):
        columns.setdefault(place, []).append(numbers_in(value) if place.endswith(SENTENCES) and value else value)
    columns.pop("sha256", None)
    yield path.name, columns


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, f"{place}[]")
    else:
        yield place, value


READERS = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".json": _json,
}


def read_expected(case: str) -> Tables:
    """Return the stored tables of a case; none where it is new."""
    path = EXPECTED / f"{case}.json.xz"
    return json.loads(lzma.decompress(path.read_bytes())) if path.exists() else {}


def write_expected(case: str, tables: Tables) -> None:
    """Store the tables of a case."""
    EXPECTED.mkdir(exist_ok=True)
    text = json.dumps(tables, separators=(",", ":"), ensure_ascii=False)
    packed = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    (EXPECTED / f"{case}.json.xz").write_bytes(packed)


def differences(expected: Tables, found: Tables) -> Iterator[str]:
    """Yield what differs, a line for each column, with an example."""
    for name in sorted({*expected, *found}):
        before, after = _in_order(expected.get(name, {})), _in_order(found.get(name, {}))
        if name not in found and not any(before.values()):
            continue  # a table without rows is not written
        for column in sorted({*before, *after}):
            old, new = before.get(column), after.get(column)
            if old is None or new is None or len(old) != len(new):
                yield f"{name}.{column}: {old and len(old)} cells, now {new and len(new)}"
            elif far := [pair for pair in zip(old, new, strict=True) if not are_equal(*pair)]:
                yield f"{name}.{column}: {len(far)} cells, such as {far[0][0]!r} -> {far[0][1]!r}"


def _in_order(table: Table) -> Table:
    """Return a table with its rows in the order of their keys."""
    length = len(next(iter(table.values()), []))
    names = [name for name in KEYS if name in table and len(table[name]) == length]
    order = sorted(range(length), key=lambda place: [str(table[name][place]) for name in names])
    return {column: [cells[place] for place in order] if len(cells) == length else cells for column, cells in table.items()}


def are_equal(before: Any, after: Any) -> bool:
    """Return whether two cells are the same, numbers within `TOLERANCE`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(are_equal(value, after[key]) for key, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(are_equal, before, after))
    if not (isinstance(before, int | float) and isinstance(after, int | float)):
        return type(before) is type(after) and before == after
    return before == after or (math.isnan(before) and math.isnan(after)) or math.isclose(before, after, rel_tol=TOLERANCE)
