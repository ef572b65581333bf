"""The package xshm.pixels.format."""
