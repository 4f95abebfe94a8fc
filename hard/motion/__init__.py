"""Samples to features: clocks, windows, devices, features. Imports numpy and the records, nothing else."""
