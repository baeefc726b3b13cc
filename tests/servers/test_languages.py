"""What is sent in each language and what is read from an answer, against documents as the protocols show them."""

import json
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from refusals import refused

from orchestrator.contracts import LoadContext, Reply, Request, ServerFault
from orchestrator.measurement.rounds import salted, salts
from orchestrator.measurement.timing import Stages
from tasks.models.served_classifier import of_scores
from tasks.models.served_text import AskedInWords
from tasks.runtimes import http_json, open_inference, openai
from tasks.runtimes.asking import AskedSession
from tasks.servers import vllm_server


def reply(body: bytes | dict[str, Any] = b"", lines: list[bytes] | None = None, **headers: str) -> Reply:
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(named, content, [(100 + 10 * place, line) for place, line in enumerate(lines or [])], 1, 50, 999)


PICTURE = np.arange(6, dtype=np.float32).reshape(1, 2, 3)


def test_tensors_in_json() -> None:
    asking = open_inference.Asking("net", ["x"], ["y"], version="3", binary=False)
    request = asking.upload(PICTURE)
    assert request.path == "/v2/models/net/versions/3/infer"
    assert json.loads(request.body) == {
        "inputs": [{"name": "x", "shape": [1, 2, 3], "datatype": "FP32", "data": [0, 1, 2, 3, 4, 5]}],
        "outputs": [{"name": "y", "parameters": {"binary_data": False}}],
    }
    answer = {"model_name": "net", "outputs": [{"name": "y", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}]}
    assert asking.download(reply(answer)).tolist() == [[1, 2], [3, 4]]


def test_tensors_in_binary() -> None:
    asking = open_inference.Asking("net", ["x", "ids"], ["b", "a"])
    request = asking.upload((PICTURE, np.array([[7]], dtype=np.int64)))
    size = int(request.headers["Inference-Header-Content-Length"])
    head, rest = json.loads(request.body[:size]), request.body[size:]
    assert [(each["name"], each["datatype"], each["parameters"]) for each in head["inputs"]] == [
        ("x", "FP32", {"binary_data_size": 24}),
        ("ids", "INT64", {"binary_data_size": 8}),
    ]
    assert rest == PICTURE.tobytes() + (7).to_bytes(8, "little")
    outputs = [
        {"name": "a", "shape": [2], "datatype": "FP16", "parameters": {"binary_data_size": 4}},
        {"name": "b", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 4 + 2 + 4 + 3}},
    ]
    said = json.dumps({"outputs": outputs}).encode()
    content = said + np.array([1.5, -2], dtype="<f2").tobytes() + b"\x02\0\0\0ja\x03\0\0\0neu"
    b, a = asking.download(reply(content, inference_header_content_length=str(len(said))))
    assert (a.dtype, a.tolist()) == (np.float32, [1.5, -2])
    assert b.tolist() == ["ja", "neu"]
    assert open_inference.as_bytes(np.array(["ja", "neu"])) == b"\x02\0\0\0ja\x03\0\0\0neu"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"{", "the answer is no JSON"),
        ({"error": "model not ready"}, "the answer has no outputs"),
        ({"outputs": []}, "no output y; there is none"),
        ({"outputs": [{"name": "z", "shape": [1], "datatype": "FP32", "data": [1]}]}, "no output y; there is z"),
        ({"outputs": [{"name": "y", "shape": [3], "datatype": "FP32", "data": [1]}]}, "has 1 values and shape [3]"),
        ({"outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": ["a"]}]}, "holds what is no FP32"),
        ({"outputs": [{"name": "y", "shape": [1], "datatype": "COMPLEX", "data": [1]}]}, "of type COMPLEX"),
        ({"outputs": [{"name": "y", "shape": [-1], "datatype": "FP32", "data": []}]}, "shape [-1]"),
        ({"outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]}, "0 are left"),
        ({"outputs": None}, "outputs of the answer is no list: null"),
        ({"outputs": 5}, "outputs of the answer is no list: 5"),
        ({"outputs": [5]}, "the answer has no name: 5"),
        ({"outputs": ["abc"]}, 'the answer has no name: "abc"'),
        ({"outputs": [{"name": "y", "shape": [1], "datatype": ["FP32"], "data": [1]}]}, "of type ['FP32']"),
        ({"outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "parameters": [1], "data": [1]}]}, "parameters that are no object"),
        ({"outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": None}]}, "data that are no list: null"),
        ({"outputs": [{"name": "y", "shape": [1] * 100, "datatype": "FP32", "data": [1]}]}, "a shape of 100 axes that no array can have"),
        ({"outputs": [{"name": "y", "shape": [10**30, 0], "datatype": "FP32", "data": []}]}, "that no array can have"),
        (b'{"outputs":[' + b"1" * 5000 + b"]}", "the answer is no JSON: a number of it has more than 4,300 digits"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a": "\xff"}', "the answer is no JSON: byte 7 is no text in UTF-8"),
        *((length, "2 bytes") for length in ("9" * 5000, "9" * 30, "\xb2", "-1", "seven")),
    ],
)  # fmt: skip
def test_tensors_that_are_none_are_a_fault_of_the_server(answer: Any, complaint: str) -> None:
    said = reply(b"{}", inference_header_content_length=answer) if isinstance(answer, str) else reply(answer)
    with pytest.raises(ServerFault, match=re.escape(complaint)):
        open_inference.Asking("net", ["x"], ["y"]).download(said)


@pytest.mark.parametrize("content", [b"abc", b"\x09\0\0\0abc", b"\x01\0\0\0a\0"])
def test_texts_that_break_off_are_no_answer(content: bytes) -> None:
    head = json.dumps({"outputs": [{"name": "y", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(content)}}]})
    with pytest.raises(ServerFault, match="breaks off"):
        open_inference.Asking("net").download(reply(head.encode() + content, inference_header_content_length=str(len(head))))


@pytest.mark.parametrize(
    "found",
    [np.full((1, 3), np.nan, np.float32), np.zeros(3, np.float32), np.array([["a"]], dtype=object), (np.zeros((1, 3)), np.zeros((1, 3)))],
)
def test_what_is_no_scores_of_classes_is_a_fault_of_the_server(found: Any) -> None:
    with pytest.raises(ServerFault):
        of_scores(lambda _: found)(reply())


def chunk(content: str | None, **more: Any) -> bytes:
    delta = {"role": "assistant"} if content is None else {"content": content}
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": None}], **more}).encode()


def test_a_stream_has_its_first_token_where_the_first_content_is() -> None:
    asking = openai.Asking("m", system="Be short.", more={"cache_prompt": False})
    request = asking.upload(["Which?"])
    assert (request.path, request.streamed) == ("/v1/chat/completions", True)
    assert json.loads(request.body) == {
        "model": "m", "max_tokens": 16, "temperature": 0.0, "seed": 0, "stream": True, "stream_options": {"include_usage": True},
        "cache_prompt": False, "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Which?"}],
    }  # fmt: skip
    counts = {"usage": {"completion_tokens": 5, "prompt_tokens": 30, "prompt_tokens_details": {"cached_tokens": 24}}}
    usage = b"data: " + json.dumps({"choices": [], **counts}).encode()
    lines = [chunk(None), chunk(""), b": ping", chunk("The "), chunk("answer"), chunk(" is B"), usage, b"data: [DONE]"]
    answer = reply(lines=lines)
    assert asking.download(answer) == ["The answer is B"]
    assert (answer.first_token_ns, answer.last_token_ns, answer.tokens, list(answer.gaps_ns)) == (130, 150, 5, [10, 10])
    assert (answer.prompt_tokens, answer.cached_tokens, answer.truncated) == (30, 24, None)
    uncounted = reply(lines=[line for line in lines if line != usage])
    asking.download(uncounted)
    assert (uncounted.tokens, uncounted.cached_tokens) == (3, None)


def test_salted_prompts_are_new_in_each_round_and_alike_on_all_systems() -> None:
    drawn = [salt for number in range(30) for salt in salts(3, number, 7)]
    assert drawn == [salt for number in range(30) for salt in salts(3, number, 7)]
    assert (len({*drawn}), {len(salt) for salt in drawn}) == (len(drawn), {11})
    assert all(before[0] != after[0] for before, after in pairwise(drawn))
    for system, salt, beginning in (("Be short.", drawn[0], f"{drawn[0].decode()[:9]}\n"), (None, *salts(3, None, 1), "")):
        asking = openai.Asking("m", system=system, cache="salted")
        request = salted(Stages(asking.upload, *[reply] * 2)).preprocess([("Which?", salt)])
        assert json.loads(request.body)["messages"][0]["content"] == beginning + (system or "Which?")
    with refused("unknown", "model.request.cache", "new"):
        openai.Asking("m", cache="new")


@pytest.mark.parametrize(("setting", "switch"), [("true", "--enable-prefix-caching"), ("false", "--no-enable-prefix-caching")])
def test_the_cache_of_vllm_is_a_setting(setting: str, switch: str) -> None:
    found = vllm_server.command(["--prefix-caching", setting, "--model", "m"])
    assert found[1:] == ["-m", vllm_server.MODULE, switch, "--enable-prompt-tokens-details", "--model", "m"]


def test_completions_and_whole_answers() -> None:
    whole = openai.Asking("m", api="completions", stream=False, max_tokens=None, temperature=None, seed=None)
    request = whole.upload("One, two,")
    assert request == Request("/v1/completions", b'{"model":"m","stream":false,"prompt":"One, two,"}')
    counts = {"usage": {"completion_tokens": 2, "prompt_tokens": 9}, "timings": {"cache_n": 7, "prompt_n": 2}}
    answer = reply({"choices": [{"text": " three", "finish_reason": "length"}], **counts})
    assert whole.download(answer) == [" three"]
    assert (answer.prompt_tokens, answer.cached_tokens, answer.truncated) == (9, 7, True)
    assert (answer.first_token_ns, answer.tokens, list(answer.gaps_ns)) == (0, 2, [])
    streamed = openai.Asking("m", api="completions")
    lines = [b'data: {"choices": [{"text": " three", "finish_reason": "stop"}]}']
    assert streamed.download(reply(lines=lines)) == [" three"]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([chunk("a")], "broke off after 1 pieces"),
        ([], "broke off after 0 pieces"),
        ([b"data: {"], "no JSON"),
        ([b'data: {"error": {"message": "too long"}}'], "an error within the stream"),
        ([b'data: {"choice": 1}'], "has no choices"),
        ([b'data: {"choices": [{"delta": {"content": 7}}]}'], "is no text"),
        ([b'data: {"choices": [{"delta": null}]}', b"data: [DONE]"], "a delta of the stream is no object: null"),
        ([b'data: {"choices": [{"delta": "alpha"}]}', b"data: [DONE]"], 'a delta of the stream is no object: "alpha"'),
        ([b'data: {"choices": {"0": 1}}', b"data: [DONE]"], "the answer has no choices.0"),
        ([b'data: {"choices": [5]}'], "a choice of the stream is no object: 5"),
        ([b'{"choices": [{"message": {"content": "whole"}}]}'], "no stream came, but a whole answer of 48 bytes"),
        ([b": ping"], "broke off after 0 pieces"),
    ],
)
def test_a_stream_that_is_none_is_one_line(lines: list[bytes], complaint: str) -> None:
    with pytest.raises(ServerFault, match=re.escape(complaint)):
        openai.Asking("m").download(reply(lines=lines))


def test_the_end_of_a_stream_may_have_no_delta() -> None:
    ends = b'data: {"choices": [{"delta": null, "finish_reason": "stop"}]}'
    assert openai.Asking("m").download(reply(lines=[chunk("a"), ends])) == ["a"]


def test_a_template_is_filled_and_one_place_of_the_answer_is_read() -> None:
    body = {"rows": ["{text}"], "options": {"k": 5, "say": "about {text}, please"}, "vector": "{vector}"}
    asking = http_json.Asking(body, path="/predict", answer="0.label", headers={"X-Kind": "a"})
    request = asking.upload({"text": "it", "vector": [1, 2]})
    assert (request.path, request.headers) == ("/predict", {"X-Kind": "a"})
    assert json.loads(request.body) == {"rows": ["it"], "options": {"k": 5, "say": "about it, please"}, "vector": [1, 2]}
    assert asking.download(reply(b'[{"label": "fresh"}]')) == "fresh"
    with pytest.raises(ServerFault, match=r"0\.label"):
        asking.download(reply(b"[]"))
    with refused("unknown", "model.request.body", "vector"):
        asking.upload({"text": "it"})
    with refused("invalid", "model.request.body"):
        http_json.Asking({"k": 5})


def context(runtime: str) -> LoadContext:
    return LoadContext(runtime, "fp32", False, False, "cpu", 1, 1, Path(), server=SimpleNamespace(ask=None))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("B", "B"),
        ("The answer is C.", "C"),
        ("A planet is B", "B"),
        ("B or C", None),
        ("", None),
    ],
)
def test_the_choice_that_is_named_is_the_answer(said: str, answer: str | None) -> None:
    session = AskedSession(context("openai"), openai.Asking("m", stream=False))
    words = AskedInWords(session, "{text}", ("A", "B", "C", "D"), named=False)
    assert words.postprocess(reply({"choices": [{"message": {"content": said}}]})) == [answer]
    assert json.loads(words.preprocess(["{text}!"]).body)["messages"][0]["content"] == "{text}!"
    last = AskedInWords(session, "{text}", ("A", "B", "C", "D"), named=False, after="So:")
    for before, counts in (("It is A. So: D or not. So:", answer), ("It is A.", None)):
        assert last.postprocess(reply({"choices": [{"message": {"content": f"{before} {said}"}}]})) == [counts]
    whole = AskedInWords(session, "{text}", None, named=False)
    assert whole.postprocess(reply({"choices": [{"message": {"content": f" {said}\n"}}]})) == [said]
