"""What the daemon counts and reports about itself."""
