"""The one MQTT connection. Knows no topic's meaning."""
