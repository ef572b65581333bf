"""What xshm says to an X server. The only package that imports Xlib."""
