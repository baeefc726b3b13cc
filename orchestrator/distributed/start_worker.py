"""What the embedded Ray runs first for each of its processes: sets the variables and becomes the process.

Ray's own program for this imports all of Ray, which the process then does once more: half a second in which a trial does not begin. What is
said here in a way that we do not know is left to that program.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import MutableMapping, Sequence

CONTEXT, LANGUAGE = "--serialized-runtime-env-context=", "--language="
KNOWN = {"command_prefix", "env_vars", "py_executable", "override_worker_entrypoint", "java_jars"}
"""Of Ray's description of an environment."""
WORKER = "default_worker.py"
LIGHT_PROCESS = os.path.join(os.path.dirname(__file__), "light_process.py")  # noqa: PTH118, PTH120 - pathlib takes as long as the rest


def command_of(arguments: Sequence[str], environment: MutableMapping[str, str]) -> list[str] | None:
    """Set the variables of a process of Ray's and return its command, or None where these arguments say something else."""
    told = [word.removeprefix(CONTEXT) for word in arguments if word.startswith(CONTEXT)]
    language = [word.removeprefix(LANGUAGE) for word in arguments if word.startswith(LANGUAGE)]
    if len(told) != 1 or language != ["PYTHON"]:
        return None
    context = json.loads(told[0])
    if not context.keys() <= KNOWN or context.get("override_worker_entrypoint") or context.get("java_jars"):
        return None
    for name, value in (context.get("env_vars") or {}).items():
        environment[name] = re.sub(r"\$\{[A-Z0-9_]+\}", "", os.path.expandvars(value))
    process = [word for word in arguments if not word.startswith((CONTEXT, LANGUAGE))]
    light = [each for word in process for each in ((LIGHT_PROCESS, word) if word.endswith(WORKER) else (word,))]
    rest = [shlex.quote(word) for word in light]
    words = [*(context.get("command_prefix") or []), "exec", context.get("py_executable") or sys.executable, *rest]
    return ["bash", "-c", " ".join(words)]


def rays_own(arguments: Sequence[str]) -> list[str]:
    """Return the command with which Ray would have done it: its program lies beside that of the process."""
    worker = next(word for word in arguments if word.endswith(WORKER))
    return [sys.executable, f"{os.path.dirname(worker)}/setup_worker.py", *arguments]  # noqa: PTH120 - pathlib takes as long as the rest


if __name__ == "__main__":
    command = command_of(sys.argv[1:], os.environ) or rays_own(sys.argv[1:])
    os.execvp(command[0], command)  # noqa: S606 - what Ray has asked for
