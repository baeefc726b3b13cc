"""Vicuna as Yang et al. ran it, on a Llama of random weights: prompts with five examples, too long ones shortened, one token generated."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from program import orchestrator

from orchestrator.contracts import InputError, LoadContext
from tasks.mmlu import Mmlu
from tasks.models.causal_lm import CausalLM
from tasks.models.tensor_parallel import divide
from tasks.models.token_input import without_examples

torch = Lazily("torch")
transformers = Lazily("transformers")
sentencepiece = Lazily("sentencepiece")

pytestmark = [
    pytest.mark.skipif(find_spec(package) is None, reason=f"run `pip install {package}`") for package in ("transformers", "sentencepiece")
]

MakeContext = Callable[..., LoadContext]
MOST = 120
"""Tokens that the network takes: some of the prompts are longer."""
Row = tuple[str, str, str, str, str, str]
EXAMPLES: list[Row] = [(f"Which is number {n}?", f"{n}", "a pear", "blue", "never", "ABCDA"[n]) for n in range(5)]
QUESTIONS: dict[str, list[Row]] = {
    "world_law": [
        ("Who may sue, and whom?", "nobody", "a, b", "everybody", "the king", "B"),
        (f"So it was {'and so it was ' * 8}whose?", "one", "two", "three", "four", "C"),
        ("A first part,\n\nand a second?", "yes", "no", "maybe", "never", "D"),
    ],
    "art": [("Which is a colour?", "red", "seven", "loud", "Tuesday", "A")],
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in the form that MMLU is published in. Development files hold more rows than are taken."""
    root = tmp_path_factory.mktemp("mmlu")
    for subject, rows in QUESTIONS.items():
        for part, content in (("val", rows), ("dev", [*EXAMPLES, ("Too many?", "a", "b", "c", "d", "A")]), ("test", rows[:1])):
            (root / part).mkdir(exist_ok=True)
            with (root / part / f"{subject}_{part}.csv").open("w", newline="") as file:
                csv.writer(file).writerows(content)
    return root


def expected_prompt(subject: str, row: Row) -> str:
    """Return the prompt as their program writes it (LLM/PyTorch/sources/run.py:68-94), from its rules anew."""
    text = (
        "The following are multiple choice questions (with answers) about " + "".join(f" {word}" for word in subject.split("_")) + ".\n\n"
    )
    for question, *choices, answer in EXAMPLES:
        text += (
            question + "".join(f"\n{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True)) + f"\nAnswer: {answer}\n\n"
        )
    return text + row[0] + "".join(f"\n{letter}. {choice}" for letter, choice in zip("ABCD", row[1:5], strict=True)) + "\nAnswer:"


EXPECTED = [expected_prompt(subject, row) for subject in sorted(QUESTIONS) for row in QUESTIONS[subject]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder like Vicuna's: a tokenizer by sentencepiece, and a Llama of random weights."""
    folder = tmp_path_factory.mktemp("vicuna")
    (folder / "corpus").write_text("\n".join([*EXPECTED, *(f"Answer: {letter}" for letter in "ABCD")] * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus"), model_prefix=str(folder / "tokenizer"), vocab_size=500, model_type="bpe", minloglevel=2,
        normalization_rule_name="identity", remove_extra_whitespaces=False, byte_fallback=True,  # as Llama's
    )  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}))
    torch.manual_seed(1)
    tiny_llama().save_pretrained(folder)
    return folder


def tiny_llama() -> Any:
    config = transformers.LlamaConfig(
        vocab_size=500, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=MOST, initializer_range=0.3, pad_token_id=None,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def vicuna(path: Path, **changes: Any) -> CausalLM:
    return CausalLM(path=str(path), architecture="LlamaForCausalLM", **{"answer": "generation", "too_long": "drop_example", **changes})


@pytest.fixture(scope="module")
def fitting(checkpoint: Path) -> list[str]:
    """Return the prompts as their program shortens them (run.py:149-163), by sentencepiece's own count of tokens."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(checkpoint / "tokenizer.model"))
    found = []
    for text in EXPECTED:
        while len(pieces.encode(text)) + 1 > MOST:
            parts = text.split("\n\n")
            parts.pop(1)
            text = "\n\n".join(parts)
        found.append(text)
    return found


def test_prompts_are_those_of_the_study_in_its_order(published: Path) -> None:
    task = Mmlu(str(published), shots=5, split="val")
    samples = task.samples()
    assert [task.decode(sample.read()) for sample in samples] == EXPECTED
    assert [sample.reference for sample in samples] == ["A", "B", "C", "D"]
    assert "answers) about  world law.\n\n" in EXPECTED[1]
    assert len(Mmlu(str(published), shots=5).samples()) == 2
    assert len(Mmlu(str(published), split="dev").samples()) == 12


def test_a_split_that_is_none_is_told(published: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"task\.split=train must be one of: test, val, dev"):
        Mmlu(str(published), split="train").check()
    with pytest.raises(InputError, match=r"task\.shots=2: the examples of task\.split=dev would be its own questions"):
        Mmlu(str(published), split="dev", shots=2).check()
    with pytest.raises(InputError, match=r"holds no val/<subject>_val\.csv and no <subject>_val\.csv; .*another task\.split"):
        Mmlu(str(tmp_path), split="val").check()


def test_examples_go_one_by_one_from_the_oldest() -> None:
    text = "\n\n".join(["intro", "1", "2", "3", "question"])
    assert without_examples(text, lambda shorter: len(shorter) <= len(text)) == text
    assert without_examples(text, lambda shorter: "2" not in shorter) == "intro\n\n3\n\nquestion"
    assert without_examples(text, lambda shorter: False) == "intro\n\nquestion"


def test_texts_are_shortened_and_answered_as_transformers_pipeline_answers(
    published: Path, checkpoint: Path, fitting: list[str], make_context: MakeContext
) -> None:
    assert sum(one != other for one, other in zip(EXPECTED, fitting, strict=True)) >= 2
    loaded = vicuna(checkpoint).load(make_context(batch=2))
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    for text, shortened in zip(EXPECTED, fitting, strict=True):
        assert loaded.preprocess([text])["input_ids"].tolist() == [tokenizer(shortened)["input_ids"]]
        assert loaded.input_size(text) <= MOST
    pipeline = transformers.pipeline("text-generation", model=str(checkpoint), tokenizer=tokenizer, dtype=torch.float32)
    told = pipeline(fitting, max_new_tokens=1, do_sample=False, return_full_text=True)
    expected = [one["generated_text"][-1] for (one,) in told]
    alone = [loaded.postprocess(loaded.infer(loaded.preprocess([text])))[0] for text in EXPECTED]
    together = loaded.postprocess(loaded.infer(loaded.preprocess(EXPECTED)))
    assert alone == together == expected
    assert len(set(expected)) > 1


def test_logits_are_those_of_the_network_within_1e_5(checkpoint: Path, fitting: list[str], make_context: MakeContext) -> None:
    loaded = vicuna(checkpoint, answer="logits").load(make_context(batch=4))
    found = loaded.infer(loaded.preprocess(EXPECTED)).numpy()
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    network = transformers.AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    letters = [tokenizer(f"Answer: {letter}", add_special_tokens=False)["input_ids"][-1] for letter in "ABCD"]
    for row, text in zip(found, fitting, strict=True):
        with torch.inference_mode():
            expected = network(**tokenizer(text, return_tensors="pt")).logits[0, -1, letters].numpy()
        assert np.abs(row - expected).max() < 1e-5 < np.ptp(expected)


def test_a_question_too_long_by_itself_is_an_error(checkpoint: Path, make_context: MakeContext) -> None:
    loaded = vicuna(checkpoint).load(make_context())
    with pytest.raises(ValueError, match=r"of \d{3} tokens is longer than the 120 that the network takes"):
        loaded.preprocess([f"intro\n\nan example\n\n{'word ' * 150}"])


@pytest.mark.parametrize("option", ["answer", "too_long"])
def test_other_settings_are_refused(checkpoint: Path, option: str) -> None:
    with pytest.raises(InputError, match=rf"model\.{option}=maybe must be one of: "):
        vicuna(checkpoint, **{option: "maybe"}).check()


def test_a_network_divided_in_two_computes_what_the_whole_does() -> None:
    """Two parts on one device: the arithmetic of several GPUs without any. Both ways of answering go through it."""
    torch.manual_seed(2)
    whole, divided = tiny_llama().double(), tiny_llama().double()
    divided.load_state_dict(whole.state_dict())
    divide(divided, ["cpu", "cpu"])
    assert sum(weight.numel() for weight in divided.parameters()) == sum(weight.numel() for weight in whole.parameters())
    assert divided.model.layers[0].self_attn.parts[1].q_proj.weight.shape == (16, 32)
    ids = torch.randint(3, 500, (3, 40), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :7] = 0
    with torch.inference_mode():
        found, expected = (network(input_ids=ids, attention_mask=mask, use_cache=False).logits for network in (divided, whole))
        told = [
            network.generate(ids, attention_mask=mask, max_new_tokens=1, use_cache=False, pad_token_id=0) for network in (divided, whole)
        ]
    seen = mask.bool()
    assert (found[seen] - expected[seen]).abs().max() < 1e-12 < expected[seen].std()
    assert torch.equal(*told)


def test_parts_stay_where_they_are_when_the_rest_is_moved() -> None:
    network = tiny_llama()
    divide(network, ["cpu", "cpu"])
    moved = network.to("meta")
    assert moved.model.embed_tokens.weight.device.type == "meta"
    assert {weight.device.type for weight in moved.model.layers.parameters() if weight.dim() == 2} == {"cpu"}


def test_a_network_that_cannot_be_divided_is_told() -> None:
    with pytest.raises(InputError, match=r"4 GPUs cannot share num_key_value_heads=2 of LlamaForCausalLM; choose a divisor of it"):
        divide(tiny_llama(), ["cpu"] * 4)
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 30, "n_positions": 8}
    with pytest.raises(InputError, match=r"GPT2LMHeadModel is not of a form that several GPUs can share here; choose one GPU"):
        divide(transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)), ["cpu", "cpu"])


@pytest.mark.slow
def test_a_round_runs_from_the_command_line(checkpoint: Path, published: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    words = [
        "model=vicuna_13b", f"model.path={checkpoint}", "task=mmlu_val", f"task.root={published}", "cluster=inline",
        "measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2", f"results_dir={tmp_path / 'r'}",
    ]  # fmt: skip
    done = orchestrator(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "r" / "trials").iterdir()
    stored = pq.read_table(folder / "predictions.parquet").to_pylist()
    assert [row["reference"] for row in stored] == ["A", "B", "C", "D"]
    assert all(len(row["prediction"]) == 1 and row["input_size"] <= MOST for row in stored)
