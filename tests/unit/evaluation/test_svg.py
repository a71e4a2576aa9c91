"""Elements of charts: what is drawn is escaped, and stays within reach of the chart."""

from __future__ import annotations

import doctest
import xml.etree.ElementTree as ET

from sensorwatch.evaluation import svg
from sensorwatch.evaluation.svg import Scale, drawing, element


def test_the_examples_hold() -> None:
    result = doctest.testmod(svg)
    assert (result.failed, result.attempted) == (0, 3)


def test_text_tooltips_and_attributes_are_escaped() -> None:
    text = element("text", '<b> & "c"', "<d>", fill='"e"')
    root = ET.fromstring(drawing([text], 10, 20, "<f>"))
    assert (root.attrib["viewBox"], root.attrib["aria-label"]) == ("0 0 10 20", "<f>")
    assert root[0].attrib["fill"] == '"e"'
    assert [root[0][0].text, root[0][0].tail] == ['<b> & "c"', "<d>"]


def test_a_scale_without_a_range_draws_at_its_start() -> None:
    assert float(Scale(3, 3, 10, 20)(3)) == 10
