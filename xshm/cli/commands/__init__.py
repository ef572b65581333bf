"""The package xshm.cli.main.commands."""
