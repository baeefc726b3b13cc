"""Findings, tables, charts and the page."""
