"""The package xshm.x11.windows."""
