"""What HARD costs, against alternatives and against other versions: the work of scripts/benchmark.py."""
