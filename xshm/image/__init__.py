"""The package xshm.image."""
