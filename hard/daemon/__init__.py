"""The daemon's life cycle: start, run, reload, stop."""
