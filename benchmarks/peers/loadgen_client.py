"""LoadGen's scenario Server with requests over HTTP: ``python loadgen_client.py URL RATE SEED``, in a folder with ``bodies.json``.

It needs mlcommons-loadgen alone. A query goes to one of 32 threads, each with a connection of its own; the logs lie in the same folder.
"""

import json
import queue
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlperf_loadgen

THREADS = 32


def main() -> None:
    url, rate, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    bodies = [json.dumps(body).encode() for body in json.loads(Path("bodies.json").read_text("utf-8"))]
    due: queue.SimpleQueue[Any] = queue.SimpleQueue()
    failed: list[str] = []

    def ask() -> None:
        connection = HTTPConnection(str(urlsplit(url).netloc), timeout=60)
        while (query := due.get()) is not None:
            try:
                connection.request("POST", "/v1/chat/completions", bodies[query.index], {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    failed.append(f"HTTP {answer.status}")
            except OSError as error:
                failed.append(str(error))
                connection.close()
            mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(query.id, 0, 0)])

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    settings = mlperf_loadgen.TestSettings()
    settings.scenario, settings.mode = mlperf_loadgen.TestScenario.Server, mlperf_loadgen.TestMode.PerformanceOnly
    settings.server_target_qps = rate
    settings.server_target_latency_ns = 10**11
    settings.min_duration_ms = 0
    settings.min_query_count = settings.max_query_count = len(bodies)
    settings.schedule_rng_seed = settings.sample_index_rng_seed = settings.qsl_rng_seed = seed
    logs = mlperf_loadgen.LogSettings()
    logs.log_output.outdir, logs.enable_trace = ".", True
    sut = mlperf_loadgen.ConstructSUT(lambda queries: [due.put(query) for query in queries] and None, lambda: None)
    samples = mlperf_loadgen.ConstructQSL(len(bodies), len(bodies), lambda _: None, lambda _: None)
    mlperf_loadgen.StartTestWithLogSettings(sut, samples, settings, logs)
    mlperf_loadgen.DestroyQSL(samples)
    mlperf_loadgen.DestroySUT(sut)
    for _ in threads:
        due.put(None)
    if failed:
        sys.exit(f"{len(failed)} requests were not answered, first: {failed[0]}")


if __name__ == "__main__":
    main()
