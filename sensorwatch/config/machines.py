"""Section ``machines`` of ``sensorwatch.yaml``: the component that an alert of a sensor points to.

::

    machines:
      components:                  # the first rule that matches a sensor decides
        - tag: vibration*
          component: comp4
        - device: "17"             # the machine's id
          tag: motor current
          component: comp1
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sensorwatch.sensors.patterns import Section, SensorPattern

if TYPE_CHECKING:
    from sensorwatch.sensors.records import SensorKey

__all__ = ["ComponentRule", "MachineSection"]


class ComponentRule(SensorPattern):
    """A rule: a confirmed alert of a sensor that matches means that this component failed."""

    component: Literal["comp1", "comp2", "comp3", "comp4"]


class MachineSection(Section):
    """The section ``machines``."""

    components: tuple[ComponentRule, ...] = ()

    def component(self, key: SensorKey) -> str | None:
        """Return the component that a sensor's alerts point to: that of the first rule that matches, or None.

        Examples
        --------
        >>> from sensorwatch.sensors.records import SensorKey
        >>> section = MachineSection.model_validate({"components": [{"tag": "vib*", "component": "comp4"}]})
        >>> section.component(SensorKey("17", "vibration")), section.component(SensorKey("17", "noise"))
        ('comp4', None)
        """
        return next((rule.component for rule in self.components if rule.matches(key)), None)
