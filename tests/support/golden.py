"""Golden files: command lines, and what the program answers to each, in one text.

A file holds ``$ orchestrator WORDS`` lines. Below each stand the output, the errors and, unless it is 0, the exit code.
"""

import re
import shlex
import socket
from pathlib import Path

from program import orchestrator

import orchestrator as package

PROMPT = "$ orchestrator "
OF_THE_MACHINE = {"plan", "run", "doctor"}
"""Verbs whose output depends on the machine: its numbers are masked."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def commands_in(text: str) -> list[str]:
    """Return the words of every command line of a golden file."""
    return [line.removeprefix(PROMPT) for line in text.splitlines() if line.startswith(PROMPT)]


def transcript(commands: list[str], folder: Path) -> str:
    """Run command lines one after the other in a folder, and return the golden file that they make."""
    return "\n".join(f"{PROMPT}{command}\n{_answer(shlex.split(command), folder)}" for command in commands)


def _answer(words: list[str], folder: Path) -> str:
    done = orchestrator(*words, cwd=folder)
    output = done.stdout
    if words[0] in OF_THE_MACHINE and "--help" not in words:
        output = re.sub(r"-[0-9a-f]{8}-r", "-HASH-r", output)
        output = re.sub(rf"(host:? +){socket.gethostname()}\b", r"\1HOST", output)
        output = re.sub(r" +", " ", NUMBER.sub("#", output))
    text = f"{output}{done.stderr}".replace(str(folder), "FOLDER").replace(package.__version__, "VERSION")
    text = re.sub(r"[\d,]+ bytes", "# bytes", text)  # a bundle names the code that packed it
    text = re.sub(r"\bline \d+, in ", "line #, in ", text)  # of the code of a model
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join([*lines, *([f"exit code {done.returncode}"] if done.returncode else []), ""])
