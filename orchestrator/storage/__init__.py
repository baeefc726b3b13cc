"""Schemas, writers and readers of result files."""
