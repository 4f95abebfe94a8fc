"""Recordings to training examples."""
