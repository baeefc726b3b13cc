"""Record anew what the cases of the corpus find, with the code of this working tree.

``python tests/corpus/record.py [CASE...] [--accept TABLE.COLUMN...] [--check]`` prints what changes
per table and column. Where a column changes that neither ``recorded_anew.toml`` nor ``--accept``
names, nothing is written, and the exit code is 1.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "support")]

import stored_corpus  # noqa: E402


def main() -> int:
    """Record the cases that the command line names, or all."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(stored_corpus.CASES))
    parser.add_argument("--accept", nargs="+", action="extend", default=[], metavar="TABLE.COLUMN")
    parser.add_argument("--check", action="store_true", help="print what changes and write nothing")
    asked = parser.parse_args()
    if strange := set(asked.cases) - set(stored_corpus.CASES):
        parser.error(f"there is no case {', '.join(sorted(strange))}")
    declared = tomllib.loads((HERE / "recorded_anew.toml").read_text("utf-8"))["patterns"]
    patterns = [*declared, *asked.accept]
    refused, changed = 0, {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("XDG_CACHE_HOME", str(Path(scratch, "cache")))
        corpus = stored_corpus.unpack(Path(scratch))
        for case in asked.cases or stored_corpus.CASES:
            expected, found = (
                stored_corpus.read_expected(case),
                stored_corpus.found_in(case, corpus),
            )
            if not expected:
                print(f"{case}: new, {len(found)} tables", flush=True)
                changed[case] = found
                continue
            for one in stored_corpus.differences(expected, found):
                named = stored_corpus.allowed(one, patterns)
                print(f"{'' if named else 'REFUSED '}{case}: {one}")
                refused += not named
                changed[case] = found
    if refused:
        print(f"{refused} columns change that nothing names: nothing was written", file=sys.stderr)
        return 1
    if not asked.check:
        for case, found in changed.items():
            stored_corpus.write_expected(case, found)
        for path in stored_corpus.EXPECTED.iterdir():
            if path.name.removesuffix(".json.xz") not in stored_corpus.CASES:
                print(f"{path.name}: removed, as its case is")
                path.unlink()
    print(f"{len(changed)} cases {'change' if asked.check else 'recorded'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
