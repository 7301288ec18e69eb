"""MQTT: topics in and out, for Home Assistant's automations, Node-RED, and small devices."""
