"""The tasks ``mooncake_trace`` and ``conversations``: recorded prompts. Nothing says what is right, so that answers are in time or late."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache

from orchestrator.contracts import Sample, doubling_range
from tasks.prompt import Prompt
from tasks.prompts import OneFile, json_lines

BLOCK = 512
# Each is one token, with the space before it, to most tokenizers of English.
NOUNS = (
    "time year people way day man thing woman life child world school state family student group country problem hand part place case week "
    "company system program question work government number night point home water room mother area money story fact month lot right study "
    "book eye job word business issue side kind head house service friend father power hour game line end member law car city"
)
WORDS = NOUNS.split()
# Whoever else has spoken is the assistant.
ROLES = {"human": "user", "user": "user", "system": "system"}


class MooncakeTrace(OneFile):
    """``file`` is a trace of https://github.com/kvcache-ai/Mooncake: moments in ms, lengths in tokens, a hash each 512 tokens.

    The first ``lines`` requests are asked, each cut to ``input_tokens`` words and ``output_tokens`` of an answer. Prompts begin alike where
    the recorded ones did: equal hashes are equal words. Under ``load=trace`` each is sent at its timestamp.
    """

    def __init__(
        self, file: str | None, lines: int | None = None, input_tokens: int | None = None, output_tokens: int | None = None
    ) -> None:
        super().__init__(file)
        self._lines, self._input, self._output = lines, input_tokens, output_tokens

    def of(self, text: str) -> Iterator[Sample]:
        """Yield the requests in the order of their timestamps. A sample holds lengths and hashes: `decode` makes the prompt of them."""
        rows = sorted((row for _, row in json_lines(text, self._file)), key=lambda row: float(row["timestamp"]))
        for number, row in enumerate(rows[: self._lines], start=1):
            size = min(row["input_length"], self._input or row["input_length"])
            blocks = row["hash_ids"][: -(-size // BLOCK)]
            if len(blocks) * BLOCK < size:
                raise ValueError(f"{size} tokens of request {number} are more than its {len(blocks)} hash_ids stand for")
            line = {"blocks": blocks, "input": size, "output": min(row["output_length"], self._output or row["output_length"])}
            yield Sample(f"request-{number:06d}", None, "all", {"length": doubling_range(size)}, payload=json.dumps(line).encode())

    def decode(self, encoded: bytes) -> Prompt:
        """Return the prompt: of each block the words that its hash stands for."""
        line = json.loads(encoded)
        parts = [words(block, min(BLOCK, line["input"] - BLOCK * place)) for place, block in enumerate(line["blocks"])]
        return Prompt([{"role": "user", "content": " ".join(parts)}], line["output"])


class Conversations(OneFile):
    """``file`` is a JSON list of ``{"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}``.

    Every text of the human is a sample. Before it stand the earlier texts with the recorded answers, so that prompts are the same whatever
    a system answers. ``conversations`` and ``turns`` take the first so many, and the first so many of each.
    """

    def __init__(self, file: str | None, conversations: int | None = None, turns: int | None = None) -> None:
        super().__init__(file)
        self._most, self._turns = conversations, turns

    def of(self, text: str) -> Iterator[Sample]:
        """Yield the turns of one conversation after those of the other."""
        for number, one in enumerate(json.loads(text)[: self._most], start=1):
            name = f"conversation-{number:06d}"
            said = [{"role": ROLES.get(each["from"], "assistant"), "content": each["value"]} for each in one["conversations"]]
            ends = [place for place, message in enumerate(said, start=1) if message["role"] == "user"]
            for turn, end in enumerate(ends[: self._turns], start=1):
                slices = {"conversation": name, "turn": str(turn)}
                yield Sample(f"{name}-turn-{turn:03d}", None, "all", slices, payload=json.dumps(said[:end]).encode())

    def decode(self, encoded: bytes) -> Prompt:
        """Return the messages up to a turn."""
        return Prompt(json.loads(encoded))


@lru_cache(maxsize=4096)
def words(block: int, count: int) -> str:
    """Return the first words of a block, the same ones for its hash on every machine."""
    drawn = hashlib.shake_256(str(block).encode()).digest(BLOCK)
    return " ".join([WORDS[byte % len(WORDS)] for byte in drawn[:count]])
