"""Labelled recordings on disk: read from files, divided into windows as live samples are, and scored."""
