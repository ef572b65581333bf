"""The package xshm.x11.server."""
