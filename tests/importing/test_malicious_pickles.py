"""A pickle that would run code is refused before anything of it is made."""

import os
import pickle
from pathlib import Path

import pytest
from refusals import refused

from orchestrator.contracts import Code
from orchestrator.exchange.formats.paper import plain_pickle


class Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
def test_code_of_a_pickle_is_not_run(protocol: int, tmp_path, call) -> None:
    touched, path = tmp_path / "touched", tmp_path / "All_Times.pickle"
    path.write_bytes(pickle.dumps({"inference": [{1: 0.5}], "total": [Touches(touched)]}, protocol=protocol))
    answer = call("import", path, "--format", "paper", "--task", "t", "--quiet", f"results_dir={tmp_path / 'r'}")
    assert (answer.returncode, answer.stdout, answer.refusal) == (2, "", "unsafe")
    assert not touched.exists()
    assert not (tmp_path / "r").exists()
    pickle.loads(path.read_bytes())  # which shows that the pickle is one that runs code
    assert touched.exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "unsafe"),  # GLOBAL, REDUCE
        (b"(S'true'\nios\nsystem\n.", "unsafe"),  # INST
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "unsafe"),  # STACK_GLOBAL
        (b"\x80\x02\x82\x01.", "unsafe"),  # EXT1
        (b"Psomething\n.", "unsafe"),  # PERSID
        (b"\x80\x02}N\x81.", "unsafe"),  # NEWOBJ
        (b"\x80\x02}}b.", "unsafe"),  # BUILD
        (b"\x80\x05\x97.", "unsafe"),  # NEXT_BUFFER
        (b"\x80\x02}r\xff\xff\xff\x7f.", "too_large"),  # a small file that asks for much memory
        *((content, "damaged") for content in (b"", b"\x80", b"}", b"0.", b"I1\nI2\ns.", b"\x80\x04}]K\x01s.", b"not a pickle", b"\x80\xff}.")),
    ],
)  # fmt: skip
def test_no_instruction_that_names_or_calls_is_taken(content: bytes, code: Code) -> None:
    with refused(code):
        plain_pickle(content, "x")
