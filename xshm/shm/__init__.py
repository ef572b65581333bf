"""The package xshm.shm."""
