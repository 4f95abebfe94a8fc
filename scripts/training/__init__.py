"""Offline training, in rooms: recordings in, a model bundle out. Imports `hard`, is never imported by it."""
