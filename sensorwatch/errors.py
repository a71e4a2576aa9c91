"""Exceptions that Sensorwatch raises on purpose."""

__all__ = [
    "CheckpointConflictError",
    "ConflictError",
    "CorruptModelError",
    "InvalidInputError",
    "NotFoundError",
    "SensorwatchError",
    "SettingsError",
    "TransientError",
]


class SensorwatchError(Exception):
    """Base of all these exceptions. The text is a message for users."""


class SettingsError(SensorwatchError):
    """A setting is missing or wrong. The text names the setting, the value, what was expected and the next step."""


class InvalidInputError(SensorwatchError):
    """Input from outside (a file, a command line, a request) is invalid."""


class NotFoundError(SensorwatchError):
    """A named object does not exist: a sensor, a model version, a blob, a job."""


class ConflictError(SensorwatchError):
    """Another process changed the same object first. It is safe to read the object again and retry."""


class CheckpointConflictError(ConflictError):
    """Another consumer of the same partition committed first. This commit changed nothing."""


class CorruptModelError(SensorwatchError):
    """A stored model file is unreadable or does not match its name."""


class TransientError(SensorwatchError):
    """A service is unavailable or overloaded. The same call can succeed later."""
