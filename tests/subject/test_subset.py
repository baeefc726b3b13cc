import math
from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import Sample
from orchestrator.subject.samples import draw_subset, share_out

sizes_of = st.dictionaries(st.text(max_size=3), st.integers(1, 40), min_size=1, max_size=12)


def samples_of(sizes: dict[str, int]) -> list[Sample]:
    return [Sample(f"{stratum}-{number}", None, stratum, payload=b"") for stratum, size in sizes.items() for number in range(size)]


@given(sizes_of, st.integers(0, 500), st.integers(0, 5))
def test_quotas_are_the_exact_shares_rounded_and_sum_up(sizes: dict[str, int], limit: int, seed: int) -> None:
    quotas = share_out(limit, sizes, seed)
    total = sum(sizes.values())
    assert sum(quotas.values()) == min(limit, total)
    for stratum, size in sizes.items():
        exact = Fraction(min(limit, total) * size, total)
        assert math.floor(exact) <= quotas[stratum] <= math.ceil(exact) <= size


@given(sizes_of, st.integers(1, 300), st.integers(0, 5), st.randoms())
def test_a_subset_keeps_order_and_shares_and_depends_on_names_alone(sizes: dict[str, int], limit: int, seed: int, shuffle: object) -> None:
    samples = samples_of(sizes)
    drawn = draw_subset(samples, limit, seed)
    assert len(drawn) == min(limit, len(samples))
    assert drawn == [sample for sample in samples if sample in drawn]
    assert Counter(sample.stratum for sample in drawn) == Counter(
        {stratum: count for stratum, count in share_out(limit, sizes, seed).items() if count}
    )
    mixed = list(samples)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert {sample.name for sample in draw_subset(mixed, limit, seed)} == {sample.name for sample in drawn}


def test_no_limit_takes_everything() -> None:
    samples = samples_of({"a": 3, "b": 2})
    assert draw_subset(samples, None, 0) == draw_subset(samples, 5, 0) == draw_subset(samples, 99, 1) == samples


def test_a_seed_draws_the_same_samples_on_any_machine() -> None:
    samples = samples_of({"a": 100, "b": 100})
    assert [sample.name for sample in draw_subset(samples, 4, seed=7)] == ["a-46", "a-70", "b-46", "b-76"]
    assert draw_subset(samples, 4, seed=8) != draw_subset(samples, 4, seed=7)


def test_every_sample_is_as_likely_as_the_others() -> None:
    samples = samples_of({"a": 20})
    counts = Counter(sample.name for seed in range(2000) for sample in draw_subset(samples, 5, seed))
    expected, sd = 500, math.sqrt(2000 * 0.25 * 0.75)
    assert all(abs(counts[sample.name] - expected) < 5 * sd for sample in samples)
