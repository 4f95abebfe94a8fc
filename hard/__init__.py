"""HARD, the Human Activity Recognition Daemon. Rooms and contracts: hard/README.md."""

__version__ = "0.1.0"
