"""Labelled recordings on disk: read from files, cut as a device's live samples are, and scored."""
