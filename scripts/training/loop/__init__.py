"""The training loop, its guards and what it saves."""
