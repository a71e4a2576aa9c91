"""``sensorwatch.yaml``: one file a section, and its stored versions."""
