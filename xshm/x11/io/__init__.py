"""The package xshm.x11.io."""
