"""The package xshm.virtual.processes."""
