"""Compares two sides, and the gate."""
