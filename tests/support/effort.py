"""How often tests with random input try: a longer run takes ``TEST_EFFORT=10``."""

import os

EFFORT = int(os.environ.get("TEST_EFFORT", "1"))
