"""The package xshm.virtual.servers."""
