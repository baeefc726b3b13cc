"""Statistics in numpy and scipy alone."""
