from typing import Any

import pytest

from orchestrator.metrics import Answers, find_metric
from tasks.ml_100k import FILE, PACKAGE, Ml100k, histories
from tasks.models.recommender import Recommender
from tasks.packages import locate
from tasks.training.recommenders import train


def test_a_user_s_newest_rating_is_to_be_found_and_all_before_it_is_known() -> None:
    rows = [list(map(int, line.split())) for line in locate(PACKAGE, FILE)[0].read_text().splitlines()[1:]]
    expected: dict[str, list[int]] = {f"user-{user:03d}": [] for user in range(1, 944)}
    for user, film, _, _ in sorted(rows, key=lambda row: row[3]):
        expected[f"user-{user:03d}"].append(film)
    assert {sample.name: [*Ml100k().decode(sample.read()), sample.reference] for sample in Ml100k().samples()} == expected


@pytest.mark.slow
@pytest.mark.parametrize(("tower", "hit_rate", "ndcg"), [(False, 0.2089, 0.1145), (True, 0.2206, 0.1173)])
def test_lists_are_as_good_as_they_were_and_hold_no_film_twice(tower: bool, hit_rate: float, ndcg: float, make_context: Any) -> None:
    samples = Ml100k().samples()
    known = [Ml100k().decode(sample.read()) for sample in samples]
    model = Recommender(tower).load(make_context())
    lists = model.postprocess(model.infer(model.preprocess(known)))
    assert all(len({*films, *ranking}) == len(films) + 10 for films, ranking in zip(known, lists, strict=True))
    found = [find_metric(name).score(Answers(lists, [sample.reference for sample in samples])).mean() for name in Ml100k.metrics]
    assert found == pytest.approx([hit_rate, ndcg], abs=0.01)  # another processor rounds differently


@pytest.mark.slow
def test_weights_trained_twice_are_the_same() -> None:
    some = [films[:-1] for films in histories()[:100]]
    first, second = ({name: tensor.numpy().tobytes() for name, tensor in train(True, some).items()} for _ in range(2))
    assert first == second
