"""Samples → windows → features: clocks, windows, mountings, features. Imports numpy, records and units alone."""
