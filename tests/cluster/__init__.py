"""A package, so that its hosts end with its last test and do not stand beside all others."""
