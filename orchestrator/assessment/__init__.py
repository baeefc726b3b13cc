"""Requirements, verdicts, and the size of a plan."""
