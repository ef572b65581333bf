"""Other libraries' names over what xshm has: a program that uses them changes its import, and nothing else.

Each module is thin: capture, monitors, pointer, search and checks are xshm's; what a library calls them is here.

`mss`: mss 10.2; `mss11`: its coming interface.
`pyvirtualdisplay`: PyVirtualDisplay 3.0, SmartDisplay included.
`pyautogui`: pyautogui's screenshots and picture search, alone or beneath the real one.
"""
