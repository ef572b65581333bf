"""The package xshm.cli.main."""
