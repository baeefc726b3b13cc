"""Where a search for capacity begins: the rate at which too many answers would be late, by the stored times of its closed loop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.capacity import Search
from orchestrator.analysis.replay_streams import Arrivals, Rule, can_play, play, schedule_of, services_of, streams_of
from orchestrator.stats.capacity_search import expected_rate
from orchestrator.stats.thresholds import Threshold
from orchestrator.subject.schedule import length_of_stream

STREAMS, FEWEST_STREAMS = 24, 2
MOST_ARRIVALS = 400_000
"""Of one rate: fast models are played back in fewer streams."""


def expected_of(search: Search, deadline: Threshold, keep: float) -> float | None:
    """Return the rate in samples a second at which a share of ``keep`` would be on time; None where no closed loop tells.

    Streams of rounds drawn from the closed loop are played back under the arrivals of the search. It says where to look, and no more.
    """
    closed, span, load = search.closed, search.span, search.like.load
    if closed is None or span is None or load.name == "closed" or not can_play(closed):
        return None
    blocks = streams_of(closed)
    if not blocks:
        return None
    whole, services = np.concatenate(blocks), services_of(closed)
    samples = services.shape[1]
    law, rule = Arrivals(load.name, load.group, load.burstiness, load.seed), Rule(load.policy, load.queue_limit)
    skips_by = deadline.ns if load.deadline_ms is None else round(load.deadline_ms * 1e6)

    def on_time(rate_per_s: float) -> float:
        rounds = length_of_stream(load, rate_per_s, samples).rounds
        streams = max(FEWEST_STREAMS, min(STREAMS, MOST_ARRIVALS // (rounds * samples)))
        shares = []
        for number in range(streams):
            own: NDArray[np.intp] = np.random.default_rng([load.seed, number]).choice(whole, rounds)
            played = play(closed, services, own, schedule_of(law, rate_per_s, rounds, samples, number), rule, skips_by)
            shares.append(float((played.response_ns[played.after_ramp] <= deadline.ns).mean()))
        return float(np.mean(shares))

    return expected_rate(on_time, keep, span)
