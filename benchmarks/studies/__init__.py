"""Simulations behind the claims of docs/statistics.md: every module with TITLE, REPETITIONS, CASES and run is one."""
