"""How often tests with random input try: a longer run takes ``TEST_EFFORT=10``."""

from __future__ import annotations

import os

EFFORT = int(os.environ.get("TEST_EFFORT", "1"))
