"""What is published. Knows no model."""
