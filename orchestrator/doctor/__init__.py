"""Readings of one machine, and whether it is fit for timing."""
