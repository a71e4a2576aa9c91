"""Patterns of the configuration and of muting that match no known sensor: mostly mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sensorwatch.alerts.handling import Silence
    from sensorwatch.config.file import Configuration
    from sensorwatch.sensors.patterns import SensorPattern
    from sensorwatch.sensors.records import SensorKey

__all__ = ["unmatched_patterns"]


def unmatched_patterns(
    configuration: Configuration, silences: Iterable[Silence], keys: Iterable[SensorKey]
) -> list[str]:
    """Return the places and patterns that match none of the sensors.

    Parameters
    ----------
    configuration
        Its rules, challengers, components and downtime are looked at.
    silences
        Muting in force.
    keys
        Names of all known sensors.

    Returns
    -------
    list of str
        Texts such as ``maintenance.0: device `oven-*`, tag `*```.
    """
    known = list(keys)
    patterns: list[tuple[str, SensorPattern | Silence]] = [
        *_places(configuration),
        *((f"muting {silence.silence_id}", silence) for silence in silences),
    ]
    return [
        f"{place}: device `{pattern.device}`, tag `{pattern.tag}`"
        for place, pattern in patterns
        if not any(pattern.matches(key) for key in known)
    ]


def _places(configuration: Configuration) -> Iterator[tuple[str, SensorPattern]]:
    lists = {
        "detectors": configuration.detectors,
        "serving.rules": configuration.serving.rules,
        "alerts.rules": configuration.alerts.rules,
        "maintenance": configuration.downtimes,
        "machines.components": configuration.machines.components,
    }
    for place, rules in lists.items():
        for position, rule in enumerate(rules):
            yield f"{place}.{position}", rule
    for name, challenger in configuration.serving.models.items():
        yield f"serving.models.{name}", challenger
