"""The same local server, asked at the same rate by this program's client, by GuideLLM, by AIPerf and, under Poisson arrivals, by LoadGen.

The other clients lie in an environment of their own (``python -m venv VENV`` and ``VENV/bin/pip install guidellm aiperf
mlcommons-loadgen``, 1.5 GB). A client that fails or does not end in time is named and left out.

How late each client sends is by its own account (sent minus the moment that it calls due), and behind an even schedule that begins so that
no request is early. Clients agree where the medians of their repeats differ by no more than repeats of one client do, and nothing is
decided where these differ by more than half of the figure.

``instant`` answers at once; ``llama`` is llama.cpp's server by the package xllamacpp (8 tokens a request; take --rates 0.5 --seconds 20).
Clients take turns. Ours is pinned to the first core and the server to the others; the other clients, which are several processes each, may
use all cores, with one worker each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from benchmarks.client_cost import http, instant_server
from benchmarks.common import Benchmark, Figure, LeftOut, at_most
from benchmarks.peers.asked import Asked, agreement, asked
from benchmarks.peers.clients import COMMANDS, LAWS, PeerFailed, Work, end_group, run
from orchestrator.configuration.server import ServerSettings
from orchestrator.measurement.asking import Client
from orchestrator.measurement.in_flight import Arrivals, InFlight
from orchestrator.measurement.load_loop import waiting
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.stats.queueing import gamma, periodic
from tasks.runtimes.openai import Asking

VARIABLE, LIMIT_S = "BENCHMARK_PEERS", 120.0
OURS = "this client"
IN_FLIGHT = 32
READY_S = 60
MORE = {"instant": {}, "llama": {"temperature": 0, "cache_prompt": False, "ignore_eos": True}}
MAX_TOKENS = 8
PORT = 18_462


def ask_ourselves(work: Work) -> Asked:
    """Return how this program's client asks, from one core."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(every)})
    try:
        client = Client(ServerSettings.model_validate({"name": "peer", "url": work.url, "timeout_s": 60}))
        language = Asking("x", max_tokens=work.max_tokens, temperature=None, seed=None, stream=False, more=work.more)
        stages = Stages(lambda batch: language.upload(batch[0]), client.ask, lambda reply: language.download(reply))
        random = np.random.default_rng(work.seed)
        count = len(work.prompts)
        moments = periodic(count, work.rate) if work.law == "periodic" else gamma(count, work.rate, 1.0, random)
        stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
        threads = InFlight(IN_FLIGHT)
        due = (moments + time.perf_counter_ns() + 200_000_000).tolist()
        arrivals = Arrivals(due, lambda: waiting("sleep", 200_000, gives_way=True))
        came = threads.ask([(prompt,) for prompt in work.prompts], stages, stamps, time.perf_counter_ns, arrivals=arrivals)
        threads.close()
        client.close()
    finally:
        os.sched_setaffinity(0, every)
    times = np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)
    good = np.array([number not in came.errors for number in range(count)])
    # Sending begins once the request is written: the preparation counts as delay.
    return asked(times[good, 1].tolist(), np.array(due)[good].tolist(), (times[:, 2] - times[:, 1])[good].tolist(), len(came.errors))


@contextmanager
def server_of(kind: str, cores: Sequence[int]) -> Iterator[str]:
    """Run a server on some cores and yield its URL."""
    if kind == "instant":
        message = {"index": 0, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "x", "choices": [message], "usage": usage})
        with instant_server(http("application/json", body.encode()), cores) as url:
            yield url
        return
    words = [sys.executable, "-m", "tasks.servers.xllamacpp_server", "--port", str(PORT), "--threads", str(len(cores))]
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    try:
        url = f"http://127.0.0.1:{PORT}"
        until = time.monotonic() + READY_S
        while not _is_ready(f"{url}/health"):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit("the server did not become ready: try `python -m tasks.servers.xllamacpp_server --port 18462` by hand")
            time.sleep(0.2)
        yield url
    finally:
        end_group(process)


def _is_ready(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def runs_of(asked: argparse.Namespace, rate: float, url: str) -> tuple[dict[str, list[Asked]], dict[str, str]]:
    """Return the runs of each client, which take turns, and why a client has none or fewer."""
    runs: dict[str, list[Asked]] = {OURS: []}
    failed: dict[str, str] = {}
    for repeat in range(asked.repeats):
        prompts = [f"Which number comes after {1000 * repeat + number}?" for number in range(max(2, round(rate * asked.seconds)))]
        work = Work(url, prompts, asked.law, rate, MAX_TOKENS, MORE[asked.server], seed=repeat + 1)
        runs[OURS].append(ask_ourselves(work))
        for peer in [one for one in asked.only if one not in failed]:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = run(peer, asked.peers.absolute(), work, Path(folder), LIMIT_S)
                    runs.setdefault(peer, []).append(found)
                except PeerFailed as error:
                    failed[peer] = str(error)
    return runs, failed


def p50(values: Sequence[float]) -> float:
    return float(np.percentile(values, 50, method="inverted_cdf"))


def figures_of(runs: dict[str, list[Asked]], rate: float) -> Iterator[Figure]:
    """Yield our own delay and latency, with those of the other clients beside them."""
    delays = {name: p50(np.concatenate([one.delay_us for one in some])) for name, some in runs.items()}
    behind = {name: p50(np.concatenate([one.behind_us(rate) for one in some])) for name, some in runs.items()}
    repeats = {name: [p50(one.latency_ms) for one in some] for name, some in runs.items()}
    peers = [name for name in runs if name != OURS]
    sent = "; ".join(f"{name} {delays[name]:,.0f} us, behind an even schedule {behind[name]:,.0f} us" for name in peers)
    yield Figure(f"own delay p50 at {rate:g}/s", delays[OURS], "us", sent)
    agreed = ((name, agreement(repeats[OURS], repeats[name])) for name in peers)
    took = "; ".join(f"{name} {found.difference_ms:+.3g} ms ({found.verdict}, noise {found.noise_ms:.3g})" for name, found in agreed)
    yield Figure(f"sent to last byte p50 at {rate:g}/s", float(np.median(repeats[OURS])), "ms", took)


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    if asked.peers is None:
        raise LeftOut(f"needs an environment with other clients, --peers VENV or the variable {VARIABLE}")
    core, *others = sorted(os.sched_getaffinity(0))
    with server_of(asked.server, others or [core]) as url:
        for rate in asked.rates:
            runs, failed = runs_of(asked, rate, url)
            yield from figures_of(runs, rate)
            yield from (Figure(f"{name} at {rate:g}/s", None, note=why) for name, why in failed.items())


BENCHMARK = Benchmark(
    "server_peers",
    "How late requests are sent to a local server, and what their answers take, beside other clients",
    measure,
    bars={f"own delay p50 at {rate}/s": at_most(100) for rate in (50, 200)},
    peer="GuideLLM, AIPerf, LoadGen",
    is_quick=False,
    options={
        "--peers": {"type": Path, "default": os.environ.get(VARIABLE), "metavar": "VENV", "help": "the environment of the other clients"},
        "--only": {"type": lambda text: text.split(","), "default": list(COMMANDS), "help": f"of {', '.join(COMMANDS)}"},
        "--server": {"choices": list(MORE), "default": "instant"},
        "--rates": {"type": lambda text: [float(part) for part in text.split(",")], "default": [50.0, 200.0]},
        "--law": {"choices": list(LAWS), "default": "periodic", "help": "LoadGen has poisson alone"},
        "--seconds": {"type": float, "default": 8.0},
        "--repeats": {"type": int, "default": 3},
    },
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
