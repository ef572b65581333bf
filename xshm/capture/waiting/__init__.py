"""The package xshm.capture.waiting."""
