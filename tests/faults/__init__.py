"""Faults made on purpose, by the thousand: `python tests/faults` runs all of it and prints what was tried and failed.

Each module is one kind of fault and has `provoke(report, effort)`; the suite calls it with a small effort.
"""
