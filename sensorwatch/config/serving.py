"""Section ``serving`` of ``sensorwatch.yaml``: models and combiners of real-time scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from sensorwatch.config.detectors import DetectorRule
from sensorwatch.sensors.patterns import Section, SensorPattern

if TYPE_CHECKING:
    from sensorwatch.sensors.records import SensorKey

__all__ = ["PRIMARY_MODEL", "ServingRule", "ServingSection"]

PRIMARY_MODEL = "own"
"""Name of the sensors' primary models in ``sensorwatch.yaml``."""

_MODEL_NAME = r"^[a-z][a-z0-9-]{0,31}$"


class ServingRule(SensorPattern):
    """A rule: these models score, in real time, the sensors whose device and tag match the patterns.

    Attributes
    ----------
    models
        Names of models; ``own`` is the sensor's primary model, which batch scoring uses.
    decider
        Combiner of the answers that arrive in time.
    weights
        Weights of models for the combiner ``weighted``; 1 by default.
    deadline_ms
        Time that a batch of readings waits for answers, in milliseconds; None: the setting's.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] = (PRIMARY_MODEL,)
    decider: Literal["majority", "weighted", "first", "confidence"] = "majority"
    weights: dict[str, Annotated[float, Field(gt=0, le=1e6)]] = Field(default_factory=dict)
    deadline_ms: Annotated[float, Field(gt=0, le=60_000)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ServingRule:
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"expected every model once, got {', '.join(self.models)}")
        if self.weights and self.decider != "weighted":
            raise ValueError(f"`weights` belong to the decider `weighted`, got `{self.decider}`")
        if unknown := sorted(set(self.weights) - set(self.models)):
            raise ValueError(f"weights of models that do not answer: {', '.join(unknown)}")
        return self


class ServingSection(Section):
    """Scoring in real time: challengers by name, and the rules that say which models answer for which sensors."""

    models: dict[Annotated[str, Field(pattern=_MODEL_NAME)], DetectorRule] = Field(default_factory=dict)
    rules: tuple[ServingRule, ...] = ()

    @model_validator(mode="after")
    def _known_models(self) -> ServingSection:
        if PRIMARY_MODEL in self.models:
            raise ValueError(f"models: `{PRIMARY_MODEL}` is the name of the sensors' primary models; take another name")
        known = [PRIMARY_MODEL, *sorted(self.models)]
        for i, rule in enumerate(self.rules):
            if unknown := sorted(set(rule.models) - set(known)):
                raise ValueError(f"rules.{i}: unknown model `{unknown[0]}`; expected one of {', '.join(known)}")
        return self

    def rule(self, key: SensorKey) -> ServingRule:
        """Return the rule of a sensor; if none matches, its primary model answers alone."""
        return next((rule for rule in self.rules if rule.matches(key)), _DEFAULT_SERVING)

    def trains(self, name: str, key: SensorKey) -> bool:
        """Return whether a sensor gets a challenger: its rule names it, and the challenger's patterns match."""
        return name in self.rule(key).models and self.models[name].matches(key)


_DEFAULT_SERVING = ServingRule()
