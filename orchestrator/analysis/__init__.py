"""Stored rows become result tables and rankings."""
