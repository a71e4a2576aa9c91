from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensorwatch.errors import InvalidInputError
from sensorwatch.simulation.markov import Emission, MarkovSignal
from sensorwatch.simulation.shapes import Constant, Normal, Product, Pulse, Ramp, Shape, Step, Sum
from sensorwatch.simulation.signal_files import SHAPES, read_signals

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEGIN = NOON.timestamp()
DOCUMENT = Path(__file__).parents[3] / "docs/how-to/simulate.md"


def read(folder: Path, text: str) -> dict[str, Shape]:
    file = folder / "signals.yaml"
    file.write_text(text, encoding="utf-8")
    return read_signals(file, NOON)


def test_a_signal_is_a_number_a_piece_or_a_model_of_signals(tmp_path: Path) -> None:
    signals = read(
        tmp_path,
        """
tags:
  7: 20
  8: 1e3
  noise: {normal: {deviation: 2}}
  load: {sum: [1, {product: [{step: {at: 600, before: 1, after: 3}}, {normal:}]}]}
  cpu: {markov: {normal: [1, 0.5], anomalous: {mean: 2, deviation: 0.1}}}
""",
    )
    assert signals == {
        "7": Constant(20),
        "8": Constant(1000),
        "noise": Normal(2),
        "load": Sum((Constant(1), Product((Step(BEGIN + 600, 1, 3), Normal())))),
        "cpu": MarkovSignal(normal=Emission(1, 0.5), anomalous=Emission(2, 0.1)),
    }


@pytest.mark.parametrize(
    "moment", ["900", "2026-11-20T12:15:00Z", "2026-11-20 12:15:00", '"2026-11-20T13:15:00+01:00"', "9.0e2", "9e2"]
)
def test_moments_are_times_or_seconds_after_the_beginning(tmp_path: Path, moment: str) -> None:
    assert read(tmp_path, f"tags: {{a: {{step: {{at: {moment}}}}}}}") == {"a": Step(BEGIN + 900)}


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    signals = read(tmp_path, "tags: {a: {ramp: {begin: 2026-11-20, end: 3600}}, b: {pulse: {begin: -60, seconds: 5}}}")
    assert signals == {"a": Ramp(BEGIN - 43_200, BEGIN + 3600), "b": Pulse(BEGIN - 60, 5)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected `tags`"),
        ("tags: {}", "expected `tags`"),
        ("tags: {a: 1}\nunits: {}", "nothing else"),
        ("tags: {a: 1, a: 2}", "`a` is there twice"),
        ("tags: [", "expected YAML"),
        (f"tags: {{{'x' * 65}: 1}}", "1 to 64 characters"),
        ("tags: {a: true}", "tags.a: expected a number, or one of constant, markov, .* got `True`"),
        ("tags: {a: {normal: {}, uniform: {}}}", "tags.a: expected a number, or one of"),
        ("tags: {a: {sine: {}}}", "tags.a: expected one of constant, .*; got `sine`"),
        ("tags: {a: {normal: 5}}", "tags.a.normal: expected a mapping of its fields; got `5`"),
        ("tags: {a: {normal: {deviatoin: 5}}}", "tags.a.normal: deviatoin: unknown key"),
        ("tags: {a: {step: {}}}", "tags.a.step: at: Field required"),
        ("tags: {a: {step: {at: soon}}}", "tags.a.step: at: expected a time like .* got `soon`"),
        ("tags: {a: {sum: []}}", "tags.a.sum: expected a list of signals; got `\\[\\]`"),
        ("tags: {a: {sum: [1, {product: [{uniform: {low: 2}}]}]}}", "tags.a.sum.1.product.0.uniform: expected `low`"),
        ("tags: {a: {constant: {value: .inf}}}", "tags.a.constant: value: Input should be a finite number"),
        ("tags: {a: {markov: {steps: 2}}}", "tags.a.markov: steps: unknown key"),
        ("tags: {a: {markov: {steps_per_change: 0}}}", "tags.a.markov: steps_per_change must be at least 1"),
        ("tags: {a: {markov: {normal: [.nan, 1]}}}", "tags.a.markov: expected finite means"),
        ("tags: {a: &a {sum: [1, *a]}}", "at most 20 nested sums and products"),
    ],
)
def test_a_mistake_is_reported_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read(tmp_path, text)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, "tags: {a: {sum: [{normal: {deviation: -1}}, {step: {}}]}, b: nonsense}")
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="can't be read: No such file"):
        read_signals(tmp_path / "none.yaml", NOON)


def test_the_page_names_every_shape_with_its_fields() -> None:
    rows = {
        cells[0].strip("` "): cells[1]
        for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and len(cells := line.strip("| ").split(" | ")) == 3
    }
    assert set(rows) == set(SHAPES)
    for name, adapter in SHAPES.items():
        schema = adapter.json_schema()
        assert schema["properties"], name
        for field in schema["properties"]:
            assert f"`{field}`" in rows[name], f"{name}: {field}"
