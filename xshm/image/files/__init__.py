"""The package xshm.image.files."""
