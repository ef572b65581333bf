"""The package xshm.capture."""
