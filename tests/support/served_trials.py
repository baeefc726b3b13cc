"""Documents of trials of numbers, asked of a server or answered in this process."""

from typing import Any

from fault_server import FaultServer

KIND = {"kind": "image_classification"}
REQUESTS: dict[str, dict[str, Any]] = {
    "open_inference": {"server_model": "numbers", "inputs": ["number"], "outputs": ["class"]},
    "openai": {"server_model": "numbers"},
    "http_json": {"path": "/predict", "body": {"number": "{number}"}, "answer": "said.number"},
}


def document_of(server: FaultServer | None, runtime: str, samples: int, /, **blocks: Any) -> dict[str, Any]:
    """Return a trial of numbers: asked of a server in one of its languages, or answered in this process where there is none."""
    served = {"name": "served", "target": "served_targets:ServedNumbers", "runtimes": list(REQUESTS), **KIND}
    null = {
        "name": "null", "target": "null_targets:NullModel", "runtimes": ["torch"], "sleep_ms": 0, "wrong": [], "raises_on": [],
        "fails_to_load": False, "dies": False, **KIND,
    }  # fmt: skip
    document = {
        "model": null if server is None else {**served, "request": REQUESTS[runtime]},
        "task": {"name": "numbers", "target": "null_targets:Numbers", "count": samples, **KIND},
        "system": {"name": "cpu_all"},
        "runtime": {"name": "torch"} if server is None else {"name": runtime, "asks_server": True},
        "measurement": {"rule": "rounds", "min_rounds": 3, "max_rounds": 3, "warmup_rounds": 1, "visit_rounds": 3},
        "server": {"name": "none"} if server is None else {"name": "numbers", "url": server.url, "timeout_s": 5},
    }
    return {name: {**document.get(name, {}), **blocks.get(name, {})} for name in {**document, **blocks}}
