"""Cores, quotas, turns and locks."""
