"""The package xshm.virtual."""
