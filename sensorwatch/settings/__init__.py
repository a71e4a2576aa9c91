"""Settings from the environment: one file for each group, one sentence for each setting.

Every process reads its settings once and validates all of them before it starts anything. `docs/reference/settings.md`
lists them; a test keeps that page in step.
"""

from sensorwatch.settings.loading import load_settings, read_settings_file
from sensorwatch.settings.model import Settings

__all__ = ["Settings", "load_settings", "read_settings_file"]
