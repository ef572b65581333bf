"""The package xshm.drawables."""
