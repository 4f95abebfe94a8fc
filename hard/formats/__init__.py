"""Payload bytes to samples, and the topics that name a device; `formats` lists the formats. Knows no model."""
