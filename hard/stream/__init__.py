"""The wire: the MQTT session, payloads, pending windows, the publisher. Knows no model."""
