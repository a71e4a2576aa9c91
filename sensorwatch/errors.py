"""The exception tree: every error that Sensorwatch raises on purpose."""

__all__ = [
    "ConflictError",
    "CorruptModelError",
    "InvalidInputError",
    "MarkMovedError",
    "NotFoundError",
    "SensorwatchError",
    "SettingsError",
    "TransientError",
]


class SensorwatchError(Exception):
    """Base of all errors raised on purpose; its text is written for the person who reads it."""


class SettingsError(SensorwatchError):
    """A setting is missing or wrong; the text names key, expected, got and hint."""


class InvalidInputError(SensorwatchError):
    """Data from outside (a file, a command line, a request) can't be used as it is."""


class NotFoundError(SensorwatchError):
    """Something named does not exist: a sensor, a model version, a blob, a job."""


class ConflictError(SensorwatchError):
    """Somebody else changed the same thing first; reading it again and retrying is safe."""


class MarkMovedError(ConflictError):
    """Another consumer of the same partition committed first; nothing of this commit was applied."""


class CorruptModelError(SensorwatchError):
    """A stored model shard can't be read or does not match its manifest."""


class TransientError(SensorwatchError):
    """A service is away or overloaded; the same call may succeed later."""
