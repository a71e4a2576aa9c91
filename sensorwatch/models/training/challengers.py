"""Train the further models of a shard, those that only scoring in real time uses, beside the sensors' own ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.config.file import Configuration
from sensorwatch.models.read_only_store import PastStore
from sensorwatch.models.training.train import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sensorwatch.config.serving import ServingSection
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.read_only_store import PastSource
    from sensorwatch.models.training.detector_choice import TrainingWindows
    from sensorwatch.models.training.ensemble_schedule import EnsembleRules
    from sensorwatch.models.training.promotion import PromotionRules
    from sensorwatch.models.training.train import TrainSummary
    from sensorwatch.sensors.downtime import MaintenancePlan
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["train_further"]


class _SomeSensors(PastStore):
    """Of a shard's sensors those that get the model; what training says of them is not theirs, and goes nowhere."""

    def __init__(self, source: PastSource, section: ServingSection, name: str) -> None:
        super().__init__(source)
        self._section = section
        self._name = name

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        return [sensor for sensor in super().sensors(shard) if self._section.trains(self._name, sensor.key)]


def train_further(
    task: TaskSpec,
    *,
    store: PastSource,
    registry: Callable[[str], ModelRegistry],
    configuration: Configuration,
    training_seconds: int,
    needed: TrainingWindows,
    now: datetime,
    promotion: PromotionRules,
    maintenance: MaintenancePlan,
    ensembles: EnsembleRules,
) -> dict[str, TrainSummary]:
    """Train every further model of a shard, as the sensors' own are trained; return what was done, by name.

    Parameters
    ----------
    registry
        Gives the registry of a model's shards by its name.
    configuration
        What ``sensorwatch.yaml`` says: its section ``serving`` has the models.

    Other parameters are those of :func:`sensorwatch.models.training.train.train`, and so is what it raises.
    """
    section = configuration.serving
    done: dict[str, TrainSummary] = {}
    for name, rule in section.models.items():
        some = _SomeSensors(store, section, name)
        if some.sensors(task.shard):
            done[name] = train(
                task,
                store=some,
                registry=registry(name),
                detector_name=rule.choice.detector,
                training_seconds=training_seconds,
                needed=needed,
                now=now,
                promotion=promotion,
                configuration=Configuration(detectors=(rule,), estimators=configuration.estimators),
                maintenance=maintenance,
                ensembles=ensembles,
            )
    return done
