"""A pickle that would run code is refused before anything of it is made."""

from __future__ import annotations

import os
import pickle
import pickletools
from pathlib import Path

import pytest

from orchestrator.contracts import InputError
from orchestrator.exchange.formats.paper import PLAIN, plain_pickle


class Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_of_a_pickle_is_not_run(protocol: int, tmp_path, call) -> None:
    touched, path = tmp_path / "touched", tmp_path / "All_Times.pickle"
    path.write_bytes(pickle.dumps({"inference": [{1: 0.5}], "total": [Touches(touched)]}, protocol=protocol))
    answer = call("import", path, "--format", "paper", "--task", "t", "--quiet", f"results_dir={tmp_path / 'r'}")
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.splitlines()) == 1
    assert "could run code" in answer.err
    assert not touched.exists()
    assert not (tmp_path / "r").exists()
    pickle.loads(path.read_bytes())  # which shows that the pickle is one that runs code
    assert touched.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # GLOBAL, REDUCE
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"\x80\x02\x82\x01.",  # EXT1
        b"Psomething\n.",  # PERSID
        b"\x80\x02}N\x81.",  # NEWOBJ
        b"\x80\x02}}b.",  # BUILD
        b"\x80\x05\x97.",  # NEXT_BUFFER
    ],
)
def test_no_instruction_that_names_or_calls_is_taken(content: bytes) -> None:
    with pytest.raises(InputError, match="could run code"):
        plain_pickle(content, "x")


def test_the_plain_instructions_are_instructions_and_make_values_alone() -> None:
    known = {opcode.name: opcode for opcode in pickletools.opcodes}
    assert known.keys() >= PLAIN
    made = {kind.name for name in PLAIN - {"DUP", "GET", "BINGET", "LONG_BINGET", "MEMOIZE"} for kind in known[name].stack_after}
    assert made <= {"None", "bool", "int", "int_or_bool", "float", "str", "list", "tuple", "dict", "mark"}


def test_a_small_file_cannot_ask_for_much_memory() -> None:
    with pytest.raises(InputError, match="remembers more than the file holds"):
        plain_pickle(b"\x80\x02}r\xff\xff\xff\x7f.", "x")


@pytest.mark.parametrize("content", [b"", b"\x80", b"}", b"0.", b"I1\nI2\ns.", b"\x80\x04}]K\x01s.", b"not a pickle", b"\x80\xff}."])
def test_what_is_no_pickle_is_said_in_one_line(content: bytes) -> None:
    with pytest.raises(InputError, match="x") as caught:
        plain_pickle(content, "x")
    assert "\n" not in str(caught.value)
