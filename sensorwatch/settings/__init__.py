"""The settings: what there is to set, and how it is read from the environment."""

from sensorwatch.settings.loading import load_settings, read_settings_file
from sensorwatch.settings.model import Settings

__all__ = ["Settings", "load_settings", "read_settings_file"]
