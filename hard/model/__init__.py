"""Windows in, predictions out: prompts, tokens, the bundle, two scorers, one classifier.

Knows no MQTT and no device's life.
"""
