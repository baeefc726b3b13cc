"""Bundles of evidence and their verification."""
