"""vLLM's server of OpenAI's language, with a switch for its cache of prompts: settings hold true and false, and vLLM takes words."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

MODULE = "vllm.entrypoints.openai.api_server"


def command(words: Sequence[str]) -> list[str]:
    """Return the command that becomes vLLM's. What is not of the cache goes to vLLM as it is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--prefix-caching", choices=["true", "false"], default="false")
    given, others = parser.parse_known_args(words)
    cache = "--enable-prefix-caching" if given.prefix_caching == "true" else "--no-enable-prefix-caching"
    return [sys.executable, "-m", MODULE, cache, "--enable-prompt-tokens-details", *others]


if __name__ == "__main__":
    os.execv(sys.executable, command(sys.argv[1:]))  # noqa: S606 - a fixed program
