"""Sensors whose detector would change under a configuration."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.config.detectors import NO_PARAMETERS
from sensorwatch.models.current import load_current
from sensorwatch.models.table import IMPORTED, specifications, without_fallbacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sensorwatch.config.file import Configuration
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.sensors.ports import SensorStore
    from sensorwatch.sensors.records import SensorKey, SensorStatus

__all__ = ["ConfigurationChange", "configuration_changes"]


class ConfigurationChange(NamedTuple):
    """A sensor whose detector would change.

    Attributes
    ----------
    sensor_id, key
        The sensor.
    now
        Detector and parameters of its model.
    then
        Detector and parameters that the configuration gives it.
    """

    sensor_id: int
    key: SensorKey
    now: str
    then: str


def configuration_changes(
    configuration: Configuration, default: str, *, store: SensorStore, registry: ModelRegistry
) -> Iterator[ConfigurationChange]:
    """Yield the sensors with a model that would get another detector or other parameters, ordered by id.

    Nothing is changed.

    Parameters
    ----------
    configuration
        ``sensorwatch.yaml``: the section ``detectors`` has the rules.
    default
        Name of the detector of sensors that no rule matches.
    store
        Source of the sensors.
    registry
        Source of their models.
    """
    by_shard: defaultdict[int, list[SensorStatus]] = defaultdict(list)
    for sensor in store.sensors():
        by_shard[sensor.shard].append(sensor)
    for shard, sensors in sorted(by_shard.items()):
        models = load_current(registry, shard).models
        if models is None:
            continue
        models = without_fallbacks(models)
        rows = zip(models["detector"].to_pylist(), specifications(models), strict=True)
        now = dict(zip(models["sensor_id"].to_pylist(), rows, strict=True))
        for sensor in sensors:
            choice = configuration.choice(sensor.key, default)
            has = now.get(sensor.sensor_id)
            if has is None or has == choice[:2] or (has[1].startswith(IMPORTED) and not choice.ruled):
                continue
            yield ConfigurationChange(sensor.sensor_id, sensor.key, _text(*has), _text(*choice[:2]))


def _text(detector: str, specification: str) -> str:
    return detector if specification == NO_PARAMETERS else f"{detector} {specification}"
