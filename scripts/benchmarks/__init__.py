"""What HARD costs, against what people would use instead. The rooms of scripts/benchmark.py; nothing imports them."""
