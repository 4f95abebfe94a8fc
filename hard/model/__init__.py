"""Windows → predictions: features, prompts, tokens, the bundle, two scorers, one classifier.

Knows no MQTT and no device.
"""
