import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.stats.variance_components import Costs, best_split, mean_of_processes, variance_components


def drawn(random, processes, visits, rounds, sds):
    """Quality of each round, [P, V, R], with effects of processes, visits and rounds."""
    found = 0.7 + sds[0] * random.normal(size=(processes, 1, 1))
    return found + sds[1] * random.normal(size=(processes, visits, 1)) + sds[2] * random.normal(size=(processes, visits, rounds))


def test_balanced_components_are_those_of_the_textbook() -> None:
    found = drawn(np.random.default_rng(0), 6, 5, 4, (0.05, 0.03, 0.02))
    visits = np.repeat(np.arange(5), 4)
    got = variance_components(list(found.reshape(6, 20)), [visits] * 6)
    of_round = found.var(axis=2, ddof=1).mean()
    of_visit = 4 * found.mean(axis=2).var(axis=1, ddof=1).mean()
    of_process = 20 * found.mean(axis=(1, 2)).var(ddof=1)
    assert got.round == pytest.approx(of_round)
    assert got.visit == pytest.approx((of_visit - of_round) / 4)
    assert got.process == pytest.approx((of_process - of_visit) / 20)
    assert math.isnan(got.sample)


def test_components_of_unequal_classes_are_unbiased() -> None:
    sds = (0.05, 0.03, 0.04)
    sizes = [(3, 7), (5, 2), (8, 4), (2, 9), (6, 3)]  # visits and rounds of each process
    random = np.random.default_rng(1)
    found = []
    for _ in range(500):
        parts = [drawn(random, 1, *size, sds).ravel() for size in sizes]
        visits = [np.repeat(np.arange(count), rounds) for count, rounds in sizes]
        found.append(variance_components(parts, visits)[:3])
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(500)
    truth = np.square(sds)
    assert (np.abs(means - truth) < 4 * errors + 0.03 * truth).all()  # estimates below 0 count as 0, a little too much


def test_samples_are_the_residual_of_a_two_way_table() -> None:
    random = np.random.default_rng(3)
    table = random.random((5, 7)) + random.random((5, 1))
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    left = sum((table[r, s] - rows[r] - columns[s] + table.mean()) ** 2 for r in range(5) for s in range(7))
    got = variance_components([rows, rows], None, [table, table])
    assert got.sample == pytest.approx(left / (4 * 6) / 7)
    assert got.round == pytest.approx(rows.var(ddof=1) - got.sample)
    assert got.process == 0


def test_the_mean_of_processes_is_students() -> None:
    means = [0.80, 0.84, 0.82, 0.79]
    low, high = stats.t.interval(0.95, 3, np.mean(means), stats.sem(means))
    assert mean_of_processes(means) == pytest.approx((np.mean(means), low, high))
    _, low, high = mean_of_processes([0.8, 0.8], resolution=0.01)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 1, 0.8, 0.01 / math.sqrt(2)))


COSTS = Costs(process=4e-5, round=3e-3, process_s=12.0, round_s=0.5)


def variance_of(processes: float, rounds: int) -> float:
    return COSTS.process / processes + COSTS.round / (processes * rounds)


def test_the_best_rounds_have_the_least_variance_a_budget_can_buy() -> None:
    def variance(rounds: int) -> float:
        return variance_of(1e6 / (COSTS.process_s + rounds * COSTS.round_s), rounds)

    assert min(range(1, 1000), key=variance) == pytest.approx(COSTS.best_rounds, abs=1)
    assert Costs(0.0, 1e-3, 10, 1).best_rounds == math.inf
    assert COSTS.half_width(5, 20) == pytest.approx(stats.t.ppf(0.975, 4) * math.sqrt(variance_of(5, 20)))


def test_the_best_split_is_the_narrowest_and_within_the_budget() -> None:
    for budget in (30.0, 300.0, 3000.0):
        found = best_split([COSTS], budget)
        assert found.processes * (COSTS.process_s + found.rounds * COSTS.round_s) <= budget
        every = [
            COSTS.half_width(processes, rounds)
            for processes in range(2, 260)
            for rounds in range(1, 400)
            if processes * (COSTS.process_s + rounds * COSTS.round_s) <= budget
        ]
        assert found.half_width == pytest.approx(min(every))
    assert best_split([COSTS], 24.9) is None
    assert best_split([Costs(0.0, 1e-3, 10, 1)], 600).processes > 2  # degrees of freedom are worth a process
