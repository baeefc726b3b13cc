"""vLLM's ``vllm bench serve --save-result --save-detailed``: the time is that to the first token plus the gaps between tokens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.exchange.formats import Record, Recording, checked, read_document, table_of

NOTE = (
    "The time of a request of vLLM's benchmark is ttft + itls, from sending it to its last token. A wait for "
    "--max-concurrency is left out, which differs between versions of that program; its file holds no scheduled time."
)
SECONDS = {"start_s": pa.float64(), "inference_s": pa.float64(), "first_token_s": pa.float64(), "token_gaps_s": pa.list_(pa.float64())}


class File(Record):
    """Lists of one entry per request, in seconds. Older versions have no ``start_times``, and those of newer ones count from any moment.

    vLLM writes no ``prompts``: whoever wants answers graded adds them.
    """

    model_id: str | None = None
    ttfts: list[float]
    itls: list[list[float]]
    errors: list[str | None]
    start_times: list[float] | None = None
    output_lens: list[int] | None = None
    generated_texts: list[str] | None = None
    prompts: list[str] | None = None


def read(path: Path) -> Iterator[Recording]:
    """Yield the one recording of a file. Of a request that failed neither time nor tokens count; a first token after 0 s is none."""
    found = checked(File, read_document(path), f"{path} (written with --save-detailed?)")
    lists = {name: len(value) for name, value in found if isinstance(value, list)}
    if len(set(lists.values())) > 1:
        told = ", ".join(f"{count} {name}" for name, count in lists.items())
        raise InputError(f"{path} holds {told}, and each request has one of each: export the file again", "damaged")
    nothing = [None] * len(found.ttfts)
    each = zip(found.errors, found.ttfts, found.itls, found.start_times or nothing, found.output_lens or nothing, strict=True)
    rows: list[dict[str, Any]] = []
    for error, first, gaps, start, tokens in each:
        times = {} if error else {"inference_s": first + sum(gaps), "first_token_s": first or None, "token_gaps_s": gaps}
        rows.append({"start_s": start, "tokens": tokens, "outcome": "error" if error else "ok", **times})
    table = table_of(rows, path, outcome=pa.string(), **SECONDS)
    texts = list(zip(found.prompts or (), found.generated_texts or nothing, strict=False))
    yield Recording(path.stem, table, f"{path} request {{}}".format, path, model=found.model_id, remarks=(NOTE,), texts=texts)
