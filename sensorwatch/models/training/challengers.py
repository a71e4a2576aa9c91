"""Training of challengers: models beside the sensors' primary ones that only scoring in real time uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.config.file import Configuration
from sensorwatch.models.read_only_store import ReadOnlyStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.config.serving import ServingSection
    from sensorwatch.models.ports import ModelRegistry, WindowSource
    from sensorwatch.models.training.train import TrainSummary
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["train_challengers"]


class _ChallengedSensors(ReadOnlyStore):
    """The sensors of a shard that get one challenger.

    Nothing is written: a sensor's stored state is that of its primary model.
    """

    def __init__(self, source: WindowSource, section: ServingSection, challenger: str) -> None:
        super().__init__(source)
        self._section = section
        self._challenger = challenger

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        return [sensor for sensor in super().sensors(shard) if self._section.trains(self._challenger, sensor.key)]


def train_challengers(
    task: TaskSpec,
    *,
    store: WindowSource,
    registry: Callable[[str], ModelRegistry],
    configuration: Configuration,
    train: Callable[..., TrainSummary],
) -> dict[str, TrainSummary]:
    """Train all challengers of a shard and return their summaries by name.

    Parameters
    ----------
    task
        The shard, and the windows that may be used, as :func:`sensorwatch.models.training.train.train` takes it.
    store
        Source of windows, sensors and labels; nothing is written to it.
    registry
        Returns the registry of a challenger by its name.
    configuration
        ``sensorwatch.yaml``: the section ``serving`` lists the challengers.
    train
        :func:`sensorwatch.models.training.train.train`, bound to all arguments but ``task``, ``store``, ``registry``,
        ``detector_name`` and ``configuration``. Its exceptions propagate.
    """
    section = configuration.serving
    summaries: dict[str, TrainSummary] = {}
    for name, rule in section.models.items():
        challenged = _ChallengedSensors(store, section, name)
        if challenged.sensors(task.shard):
            summaries[name] = train(
                task,
                store=challenged,
                registry=registry(name),
                detector_name=rule.choice.detector,
                configuration=Configuration(detectors=(rule,), estimators=configuration.estimators),
            )
    return summaries
