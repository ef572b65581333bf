"""The package xshm.system."""
