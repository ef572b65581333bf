"""The package xshm.surface.surface."""
