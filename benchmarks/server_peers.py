"""The same local server, asked at the same rate by this program's client, by GuideLLM, by AIPerf and, under Poisson arrivals, by LoadGen.

``python benchmarks/server_peers.py --peers VENV [--server instant|llama] [--rates 50,200,1000] [--law periodic|poisson] [--seconds 10]
[--repeats 3] [--limit 180]`` prints two tables; ``VENV`` is an environment of its own (``python -m venv VENV`` and ``VENV/bin/pip install
guidellm aiperf mlcommons-loadgen``, 1.5 GB). A client that fails or does not end within the limit is said and left out.

1. How late each client sends: by its own account (sent minus the moment that it calls due), and behind an even schedule that begins so that
   no request is early, which is computed for all in the same way.
2. Sent to the last byte of the answer, p50 and p99, of every repeat; clients agree where the medians of their repeats differ by no more
   than repeats of one client do, and nothing is told where these differ by more than half of the figure.

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
import psutil

from benchmarks.client_cost import http, instant_server
from benchmarks.peers.asked import Asked, agreement, asked
from benchmarks.peers.clients import COMMANDS, PeerFailed, Work, end_group, run
from orchestrator.configuration.server import ServerSettings
from orchestrator.measurement.asking import Client
from orchestrator.measurement.in_flight import Arrivals, InFlight
from orchestrator.measurement.load_loop import waiting
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.stats.queueing import gamma, periodic
from tasks.runtimes.openai import Asking

OURS = "this client"
IN_FLIGHT = 32
READY_S = 60
MORE = {"instant": {}, "llama": {"temperature": 0, "cache_prompt": False, "ignore_eos": True}}
MAX_TOKENS = 8
PORT = 18_462


def ask_ourselves(work: Work, core: int, every: set[int]) -> Asked:
    """Return how this program's client asks, from one core."""
    os.sched_setaffinity(0, {core})
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


def measured(given: argparse.Namespace, rate: float, url: str, core: int, every: set[int]) -> tuple[dict[str, list[Asked]], dict[str, str]]:
    """Return the runs of each client, which take turns, and why a client has none or fewer."""
    runs: dict[str, list[Asked]] = {}
    told: dict[str, str] = {}
    count = max(2, round(rate * given.seconds))
    for repeat in range(given.repeats):
        prompts = [f"Which number comes after {1000 * repeat + number}?" for number in range(count)]
        work = Work(url, prompts, given.law, rate, MAX_TOKENS, MORE[given.server], seed=repeat + 1)
        runs.setdefault(OURS, []).append(ask_ourselves(work, core, every))
        for peer in given.only:
            if peer in told:
                continue
            try:
                runs.setdefault(peer, []).append(run(peer, given.peers, work, given.folder / peer, given.limit))
            except PeerFailed as error:
                told[peer] = str(error)
    return runs, told


def percentiles(values: np.ndarray, digits: int) -> str:
    return " / ".join(f"{np.percentile(values, percent, method='inverted_cdf'):,.{digits}f}" for percent in (50, 99))


def lateness_row(name: str, runs: Sequence[Asked], rate: float, law: str) -> str:
    delays = np.concatenate([one.delay_us for one in runs])
    behind = percentiles(np.concatenate([one.behind_us(rate) for one in runs]), 0) if law == "periodic" else "-"
    failed = sum(one.failed for one in runs)
    delivered = np.median([(one.start_s.size - 1) / one.start_s[-1] for one in runs])
    return f"| {rate:g}/s | {name} | {percentiles(delays, 0)} | {behind} | {delivered:.4g} | {failed} |"


def latency_row(name: str, runs: Sequence[Asked], ours: Sequence[Asked], rate: float) -> str:
    cells = []
    for percent in (50, 99):
        mine, theirs = ([float(np.percentile(one.latency_ms, percent, method="inverted_cdf")) for one in some] for some in (ours, runs))
        values = ", ".join(f"{value:.3g}" for value in theirs)
        if runs is ours:
            cells += [values, "-"]
            continue
        found = agreement(mine, theirs)
        cells += [values, f"{found.difference_ms:+.3g} ({found.verdict}; noise {found.noise_ms:.3g})"]
    return f"| {rate:g}/s | {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=Path, required=True, metavar="VENV", help="the environment that holds the other clients")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(COMMANDS), help=f"of {', '.join(COMMANDS)}")
    parser.add_argument("--server", choices=list(MORE), default="instant")
    parser.add_argument("--rates", type=lambda text: [float(part) for part in text.split(",")], default=[50.0, 200.0, 1000.0])
    parser.add_argument("--law", choices=["periodic", "poisson"], default="periodic")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that a run of another client may take")
    given = parser.parse_args()
    given.peers = given.peers.absolute()
    every = os.sched_getaffinity(0)
    core, *others = sorted(every)
    print(
        f"{given.server} server on {others or [core]}, our client on {core}, {given.law}, {given.repeats} repeats of {given.seconds:g} s,"
    )
    print(f"load average {os.getloadavg()[0]:.1f} when it began, {psutil.cpu_count()} cores\n")
    late, latency, notes = [], [], []
    with tempfile.TemporaryDirectory() as folder, server_of(given.server, others or [core]) as url:
        given.folder = Path(folder)
        for rate in given.rates:
            runs, told = measured(given, rate, url, core, every)
            late += [lateness_row(name, some, rate, given.law) for name, some in runs.items() if some]
            latency += [latency_row(name, some, runs[OURS], rate) for name, some in runs.items() if some]
            notes += [f"{rate:g}/s, {name}: {why}" for name, why in told.items()]
            print(f"{rate:g}/s done", file=sys.stderr)
    print(
        "| rate | client | own delay p50 / p99, us | behind an even schedule, us | sent a second | failed |\n|---|---|---:|---:|---:|---:|"
    )
    print("\n".join(late))
    print(
        "\n| rate | client | p50 of each repeat, ms | against ours | p99 of each repeat, ms | against ours |\n|---|---|---:|---:|---:|---:|"
    )
    print("\n".join(latency))
    print("", *notes, f"load average {os.getloadavg()[0]:.1f} when it ended", sep="\n")


if __name__ == "__main__":
    main()
