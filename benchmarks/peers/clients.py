"""The other clients as programs of an environment of their own: GuideLLM, AIPerf and LoadGen, each with a limit of time."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.asked import Asked, of_file

# Clients want one although the server counts tokens; this one needs no network.
TOKENIZER = {
    "tokenizer.json": {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "word": 1}, "unk_token": "[UNK]"},
    },
    "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"},
}  # fmt: skip
LAWS = {"periodic": "constant", "poisson": "poisson"}


class PeerFailed(RuntimeError):
    """A client gave no result; one line says why."""


@dataclass(frozen=True)
class Work:
    """What is to be asked: ``prompts``, one after another, so many a second.

    more
        further keys of each request.
    """

    url: str
    prompts: Sequence[str]
    law: str
    rate: float
    max_tokens: int
    more: Mapping[str, object]
    seed: int


def run(peer: str, environment: Path, work: Work, folder: Path, limit_s: float) -> Asked:
    """Have a client ask, and return what its file says.

    Raises
    ------
    PeerFailed
        for one that is not installed, ends with an error, asks nothing or takes longer than ``limit_s``; its processes are ended.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words, file, variables = COMMANDS[peer](environment, work, folder)
    if not Path(words[0]).exists():
        raise PeerFailed(f"{words[0]} is not there: pip install {PACKAGES[peer]} into that environment")
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True,
            env={**os.environ, "PYTHONPATH": "", **variables},
        )  # fmt: skip
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise PeerFailed(f"it had not ended after {limit_s:g} s") from None
        finally:
            end_group(process)
    if code or not (folder / file).exists():
        raise PeerFailed(f"it ended with exit code {code}{'' if code else ' and no file'}; see {folder / 'log.txt'}")
    found = of_file(peer, folder / file)
    if not found.latency_ms.size:
        raise PeerFailed("it answered nothing")
    return found


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


Command = tuple[list[str], str, dict[str, str]]


def guidellm(environment: Path, work: Work, folder: Path) -> Command:
    """Return command, file and variables of GuideLLM."""
    _lines(folder / "prompts.jsonl", "prompt", work.prompts)
    backend = {
        "kind": "openai_http", "target": work.url, "model": "x", "request_format": "/v1/chat/completions", "stream": False,
        "extras": {"body": {"max_tokens": work.max_tokens, **work.more}},
    }  # fmt: skip
    words = [
        str(environment / "bin" / "guidellm"), "run", "--backend", json.dumps(backend),
        "--profile", f"kind={LAWS[work.law]},rate={work.rate}", "--seed", f"kind=static,value={work.seed}",
        "--constraint", f"kind=max_requests,count={len(work.prompts)}", "--data", "kind=json_file,path=prompts.jsonl",
        "--output", "kind=json,path=requests.json", "--disable-console",
    ]  # fmt: skip
    return words, "requests.json", {"GUIDELLM__MAX_WORKER_PROCESSES": "1", "HF_HUB_OFFLINE": "1"}


def aiperf(environment: Path, work: Work, folder: Path) -> Command:
    """Return command, file and variables of AIPerf."""
    _lines(folder / "prompts.jsonl", "text", work.prompts)
    (folder / "tokenizer").mkdir()
    for name, content in TOKENIZER.items():
        (folder / "tokenizer" / name).write_text(json.dumps(content), "utf-8")
    words = [
        str(environment / "bin" / "aiperf"), "profile", "--url", work.url, "--model", "x", "--endpoint-type", "chat",
        "--tokenizer", str(folder / "tokenizer"), "--use-server-token-count", "--request-rate", str(work.rate),
        "--arrival-pattern", LAWS[work.law], "--request-count", str(len(work.prompts)), "--random-seed", str(work.seed),
        "--input-file", "prompts.jsonl", "--custom-dataset-type", "single-turn", "--artifact-dir", "artifacts", "--ui", "none",
        "--extra-inputs", json.dumps({"max_tokens": work.max_tokens, **work.more}),
        "--workers-max", "1", "--export-level", "records", "--no-gpu-telemetry", "--no-server-metrics",
    ]  # fmt: skip
    return words, "artifacts/profile_export.jsonl", {}


def loadgen(environment: Path, work: Work, folder: Path) -> Command:
    """Return command, folder and variables of LoadGen, which knows Poisson arrivals alone."""
    if work.law != "poisson":
        raise PeerFailed("its scenario Server has Poisson arrivals alone")
    bodies = [
        {"model": "x", "max_tokens": work.max_tokens, "stream": False, **work.more, "messages": [{"role": "user", "content": prompt}]}
        for prompt in work.prompts
    ]
    (folder / "bodies.json").write_text(json.dumps(bodies), "utf-8")
    program = Path(__file__).with_name("loadgen_client.py")
    return [str(environment / "bin" / "python"), str(program), work.url, str(work.rate), str(work.seed)], ".", {}


COMMANDS = {"guidellm": guidellm, "aiperf": aiperf, "loadgen": loadgen}
PACKAGES = {"guidellm": "guidellm", "aiperf": "aiperf", "loadgen": "mlcommons-loadgen"}


def _lines(path: Path, key: str, prompts: Sequence[str]) -> None:
    path.write_text("".join(json.dumps({key: prompt}) + "\n" for prompt in prompts), "utf-8")
