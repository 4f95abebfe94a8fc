"""How good a model is, and beside which baselines."""
