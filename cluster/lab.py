"""Bring a cluster of machines up and down over ssh: ``python cluster/lab.py up|down|status INVENTORY``.

The token goes from the head to the nodes through standard input and is never part of a command line or of what is printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from inventory import InventoryError, Machine, read_inventory

USAGE = """\
usage: lab.py up|down|status INVENTORY

  up      start the head and every node of the inventory that is not up
  down    end every node, then the head
  status  say what is up on every machine

INVENTORY is a YAML file such as inventory.yaml beside this script. Machines are reached by ssh without a password.
Exit codes: 0 all done; 1 a machine failed or is down; 2 a mistake in the command or the inventory.
"""


def up(head: Machine, nodes: Sequence[Machine]) -> bool:
    """Start what is not up; return whether all is up."""
    started = head.run("start_head.sh", "--port", str(head.port), *head.options())
    address = re.search(r"head (\S+?:\d+)", started.stdout + started.stderr)
    if address is None:
        _say(head, _last_line(started))
        return False
    _say(head, f"up: head {address[1]}")
    token = head.shell('cat -- "${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"')
    if token.returncode != 0:
        _say(head, _last_line(token))
        return False
    good = True
    for node in nodes:
        done = node.run("start_node.sh", "--address", address[1], "--token-stdin", *node.options(), secret=token.stdout)
        already = re.search(rf"is up already \((system {re.escape(str(node.system))} on \S+, head {re.escape(address[1])}),", done.stderr)
        _say(node, f"up: {already[1]}" if already else _last_line(done))
        good = good and (done.returncode == 0 or already is not None)
    if good:
        _say(head, f"next: python -m orchestrator plan +sweep=NAME cluster=address cluster.address={address[1]}")
    return good


def down(head: Machine, nodes: Sequence[Machine]) -> bool:
    """End the nodes, then the head; return whether every machine answered."""
    answers = [_ask(machine, "stop.sh", *_only(machine)) for machine in (*nodes, head)]
    return all(answers)


def status(head: Machine, nodes: Sequence[Machine]) -> bool:
    """Say what is up; return whether every machine has a node that is up."""
    answers = [_ask(machine, "stop.sh", "--list", *_only(machine)) for machine in (head, *nodes)]
    return all("up:" in answer for answer in answers)


def _ask(machine: Machine, script: str, *options: str) -> str:
    done = machine.run(script, *options)
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    for line in lines or [_last_line(done)]:
        _say(machine, line)
    return "\n".join(lines)


def _only(machine: Machine) -> list[str]:
    return ["--node-ip", machine.ip] if machine.ip else []


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stdout if done.returncode == 0 else done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"ssh ended with {done.returncode} and said nothing"


def _say(machine: Machine, text: str) -> None:
    sys.stdout.write(f"{machine.host}: {text}\n")
    sys.stdout.flush()


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if words and words[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    actions = {"up": up, "down": down, "status": status}
    if len(words) != 2 or words[0] not in actions:
        sys.stderr.write(f"error: {' '.join(words) or 'no command'}: must be up, down or status and one inventory; see --help\n")
        return 2
    try:
        head, nodes = read_inventory(Path(words[1]))
    except InventoryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0 if actions[words[0]](head, nodes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
