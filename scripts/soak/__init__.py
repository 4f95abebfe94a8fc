"""The work of scripts/chaos.py: a known workload, faults, bad payloads, overload, and what came of it."""
