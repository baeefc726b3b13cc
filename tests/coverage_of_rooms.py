"""Print the coverage of each room of orchestrator/ from the JSON of coverage.py, and exit with 1 where one is below the bar."""

# ruff: noqa: T201

import json
import sys
from collections import Counter
from pathlib import Path

BAR = 85.0


def main(report: str) -> int:
    covered, statements = Counter[str](), Counter[str]()
    for name, file in json.loads(Path(report).read_text("utf-8"))["files"].items():
        room = Path(name).parts[-2 if len(Path(name).parts) == 2 else 1]
        covered[room] += file["summary"]["covered_lines"]
        statements[room] += file["summary"]["num_statements"]
    shares = {room: 100 * covered[room] / count for room, count in sorted(statements.items()) if count}
    for room, share in shares.items():
        print(f"{room:16}{share:6.1f} %{'' if share >= BAR else f'  below {BAR:g} %'}")
    return int(min(shares.values()) < BAR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
