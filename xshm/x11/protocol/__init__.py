"""The package xshm.x11.protocol."""
