"""A YAML file of aliases of aliases is refused before anybody writes them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composer import resolved_document
from orchestrator.configuration.composition import compose_trials, override_analysis
from orchestrator.configuration.plain_values import MOST_BYTES, MOST_VALUES, check_size, count_values
from orchestrator.contracts import InputError

Write = Callable[[str, str], Path]
MODEL = "name: odd\nkind: numbers\ntarget: null_targets:NullModel\nruntimes: [torch]\n"


def bomb(levels: int, last: str = "last") -> str:
    """Return lists of nine aliases of lists of nine aliases, and so on."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join([*lines, f"{last}: *a{levels - 1}"]) + "\n"


def mappings(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{level}: &a{level} {{{', '.join(f'k{n}: *a{level - 1}' for n in range(9))}}}" for level in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("text", [bomb(12), mappings(12), bomb(40)])
def test_a_model_of_aliases_of_aliases_is_one_line(own_conf: Path, write: Write, text: str) -> None:
    path = write("model/odd", MODEL + text)
    with pytest.raises(InputError) as caught:
        compose_trials(["model=odd", "task=first"], config_dirs=[own_conf])
    assert str(caught.value).startswith(f"{path}: comes to more than 20,000 values with its aliases (*name) written out, ")


def test_a_sweep_of_aliases_of_aliases_is_one_line(own_conf: Path, write: Write) -> None:
    write("sweep/odd", bomb(12, "axes"))
    with pytest.raises(InputError, match=r"odd\.yaml: comes to more than 20,000 values"):
        compose_trials(["+sweep=odd", "model=alpha", "task=first"], config_dirs=[own_conf])


def test_a_file_that_another_one_includes_is_looked_at_too(own_conf: Path, write: Write) -> None:
    write("elsewhere/big", bomb(12))
    write("model/odd", f"defaults: [/elsewhere/big@_here_]\n{MODEL}")
    with pytest.raises(InputError, match=r"elsewhere/big\.yaml: comes to more than 20,000 values"):
        compose_trials(["model=odd", "task=first"], config_dirs=[own_conf])


def test_a_file_of_many_bytes_is_one_line(own_conf: Path, write: Write) -> None:
    write("model/odd", MODEL + f"tag: {'x' * MOST_BYTES}\n")
    with pytest.raises(InputError, match=r"odd\.yaml: has 2,\d+,\d+ bytes, and a configuration has at most 2,097,152"):
        compose_trials(["model=odd", "task=first"], config_dirs=[own_conf])


def test_aliases_as_people_use_them_are_fine(own_conf: Path, write: Write) -> None:
    write("model/odd", MODEL + "shared: &shared {a: 1, b: [2, 3]}\nfirst: *shared\nsecond: {<<: *shared, a: 4}\n")
    document = compose_trials(["model=odd", "task=first"], config_dirs=[own_conf]).documents[0]
    assert document["model"]["first"] == {"a": 1, "b": [2, 3]}
    assert document["model"]["second"] == {"a": 4, "b": [2, 3]}


def test_the_count_is_that_of_the_values_written_out() -> None:
    assert count_values(yaml.compose("[1, [2, 3], {a: b}]"), {}) == 1 + 1 + 3 + 3
    assert count_values(yaml.compose(bomb(3)), {}) == 1 + 4 + (9 + 1) + (9 * 10 + 1) + 2 * (9 * 91 + 1)
    assert count_values(None, {}) == 0
    check_size(f"[{', '.join(['1'] * (MOST_VALUES - 1))}]", "f")
    with pytest.raises(InputError):
        check_size(f"[{', '.join(['1'] * MOST_VALUES)}]", "f")


REFUSED = "^the configuration evaluates more than 1,000 interpolations .* or comes to more than 2,097,152 characters"


@pytest.mark.parametrize("form", ["${a.s#}", "${.s#}", "${oc.select:a.s#}", "${a.${a.n#}}", "${oc.decode:'${.s#}'}"])
def test_interpolations_of_interpolations_are_refused(form: str) -> None:
    doubling = {f"s{level + 1}": form.replace("#", str(level)) * 2 for level in range(40)}
    with pytest.raises(InputError, match=REFUSED):
        resolved_document(OmegaConf.create({"a": {"s0": "x", **{f"n{level}": f"s{level}" for level in range(40)}, **doubling}}))


def test_a_model_of_interpolations_of_interpolations_is_one_line(own_conf: Path, write: Write) -> None:
    levels = [f"s{level}: '{f'${{.s{level - 1}}}' * 10}'" for level in range(1, 10)]
    write("model/odd", "\n".join([MODEL + "s0: xxxxxxxxxx", *levels, ""]))
    with pytest.raises(InputError, match=REFUSED):
        compose_trials(["model=odd", "task=first"], config_dirs=[own_conf])


def test_what_interpolations_come_to_is_counted() -> None:
    fine = {"a": "${b}${c.d}", "b": "${.c.e[0]}", "c": {"d": "${..b}", "e": ["x" * 1000]}}
    assert resolved_document(OmegaConf.create(fine))["a"] == "x" * 2000
    for named in ({"b": ["x" * 1000, "y" * 2000]}, {"b": "x" * 3000}):
        with pytest.raises(InputError, match=REFUSED):
            resolved_document(OmegaConf.create({"a": ["${b}"] * 900, **named}))


def test_a_long_text_with_an_interpolation_counts_as_many_values() -> None:
    check_size("a: " + "$" * 200_000, "f")
    with pytest.raises(InputError, match=r"f: comes to more than 20,000 values"):
        check_size("a: " + "$" * 20_000 + "{b}", "f")


@pytest.mark.parametrize("stored", ["${oc.env:HOME}", "\\\\${analysis.seed}", "${", "plain"])
def test_what_a_campaign_has_stored_is_no_expression(stored: str) -> None:
    assert override_analysis(AnalysisConfig(reference=stored), ["analysis.seed=3"]) == AnalysisConfig(reference=stored, seed=3)
