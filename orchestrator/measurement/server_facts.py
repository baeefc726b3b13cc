"""The facts of a trial that asks a server: who it is, that its weights are unknown, and what the client itself costs."""

from collections.abc import Sequence
from typing import Any

from orchestrator.measurement.client_cost import AtOnce, client_cost
from orchestrator.measurement.in_flight import InFlight
from orchestrator.measurement.loaded_trial import LoadedTrial
from orchestrator.subject.schedule import schedule_of


def server_facts(loaded: LoadedTrial, allowed: Sequence[int]) -> dict[str, Any]:
    """Return the facts after the warm-up, none of a trial that asks no server; ``allowed`` are the cores that this host offers."""
    if loaded.client is None or loaded.asking is None:
        return {}
    server = loaded.trial.server
    batches = loaded.batches(loaded.groups(0))
    return {
        "server": server.name,
        "server_url": server.url,
        "server_weights": "unknown",
        "in_flight": loaded.trial.in_flight,
        "connections_of_warmup": loaded.client.connections,
        "client": client_cost(loaded.client, batches, loaded.stages, loaded.clock, allowed, _at_once(loaded, loaded.asking)),
    }


def _at_once(loaded: LoadedTrial, asking: InFlight) -> AtOnce | None:
    """Return how several requests of the trial are on their way at once; None where each waits for the one before."""
    trial = loaded.trial
    if trial.in_flight == 1 and not trial.load.is_open:
        return None
    due = schedule_of(trial, len(loaded.items), 0).moments_ns.tolist() if trial.load.is_open else ()
    return AtOnce(asking, trial.in_flight, due, loaded.wait)
