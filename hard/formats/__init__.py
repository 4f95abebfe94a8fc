"""Payload bytes to samples, and the topics that name a device. Knows no model."""
