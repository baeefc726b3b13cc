"""A timed process together with the server that it has started for its trial, where the trial's server has a command."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.measurement.failures import SERVER_ENDED, TrialFailed, tracebacks_kept
from orchestrator.measurement.scratch import companion_path
from orchestrator.measurement.worker import Worker
from orchestrator.running.server import Server, started
from orchestrator.running.server_log import take_log
from orchestrator.storage.handover import Prepared, RoundResult
from orchestrator.storage.records import SERVER_STARTED
from orchestrator.subject.server import token_of, without_token

NOTICED_S = 0.2
"""How long after an error of a request the death behind it may still become known."""


def log_path(scratch: Path) -> Path:
    """Return where the server of a timed process writes."""
    return companion_path(scratch, "server.log")


class WorkerWithServer:
    """Does what a `Worker` does. A server lives from before its client is loaded to after the last call.

    One that ends meanwhile ends the trial's process: rounds in which it did are stored with the errors of its client, and the next call
    raises the fault ``server died``.
    """

    def __init__(self, worker: Worker, trial: Trial, scratch: Path, cache_dir: Path) -> None:
        self.worker = worker
        self._cache_dir = cache_dir
        self._trial = trial
        self._log = log_path(scratch)
        self._server: Server | None = None

    @tracebacks_kept()
    def prepare(self) -> Prepared:
        """Start the server and have it ready; then pin, load, warm up. Raises what `Worker.prepare` does."""
        if not self._trial.server.is_started:
            return self.worker.prepare()
        self._server, url, facts = started(self._trial, self._log, self._cache_dir)
        self.worker.ask_at(url)
        try:
            prepared = self.worker.prepare()
        except (InputError, TrialFailed) as error:
            if (how := self._how_it_ended(NOTICED_S)) is not None:
                raise TrialFailed(f"{SERVER_ENDED} ({how}): {error}{self._server.last_words()}", "server died") from error
            raise
        return replace(prepared, facts={**prepared.facts, SERVER_STARTED: facts})

    def run_rounds(self, first: int, count: int, visit: int) -> list[RoundResult]:
        """Run consecutive rounds of a visit."""
        return self._watched(lambda: self.worker.run_rounds(first, count, visit))

    def run_stream(self, first: int, visit: int) -> list[RoundResult]:
        """Serve the stream of a visit."""
        return self._watched(lambda: self.worker.run_stream(first, visit))

    def kernel_ns(self) -> int:
        """Time a fixed piece of work."""
        return self.worker.kernel_ns()

    def read_back(self) -> dict[str, Any]:
        """Read back where the process is placed now."""
        return self.worker.read_back()

    def close(self) -> None:
        """End the server, and remove the file of stamps. Idempotent."""
        try:
            self.end_server()
        finally:
            self.worker.close()

    def end_server(self) -> None:
        """End the server, where there is one. Idempotent."""
        if self._server is not None:
            self._server.end()

    def _watched(self, call: Callable[[], list[RoundResult]]) -> list[RoundResult]:
        server = self._server
        if server is None:
            return call()
        if (how := server.how_it_ended()) is not None:
            raise TrialFailed(f"{SERVER_ENDED} ({how}){server.last_words()}", "server died")
        results = call()
        if not any(result.errors for result in results) or (how := self._how_it_ended(NOTICED_S)) is None:
            return results
        return [replace(result, errors=_caused(result.errors, how)) for result in results]

    def _how_it_ended(self, within_s: float) -> str | None:
        """Return how the server has ended; its client may know a moment earlier."""
        assert self._server is not None
        until = time.monotonic() + within_s
        while (how := self._server.how_it_ended()) is None and time.monotonic() < until:
            time.sleep(0.02)
        return how


def _caused(errors: Mapping[int, str], how: str) -> dict[int, str]:
    return {sample: f"{SERVER_ENDED} ({how}): {message}" for sample, message in errors.items()}


def take_server_log(settings: Mapping[str, Any], scratch: Path) -> str:
    """Return what the server of a timed process has written, without its token, and delete that.

    ``settings`` are the server's, as plain values. Where the token is not to be had any more the log stays unread: it might hold it.
    """
    path = log_path(scratch)
    try:
        secret = token_of(ServerSettings.model_validate(settings))
    except InputError as error:
        with suppress(OSError):
            path.unlink()
        return f"not kept, since it may hold the token: {error}"
    return without_token(take_log(path), secret)
