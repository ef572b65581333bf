"""The colours that tests paint and look for, (red, green, blue) of 8 bits a channel."""

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
DARK_GREEN = (0, 160, 0)
