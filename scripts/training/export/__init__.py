"""A trained T5 to a compiled graph."""
