"""A sample's way through the daemon, in order."""
