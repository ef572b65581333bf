"""Videos without PyAV: containers of our own and of Pillow."""
