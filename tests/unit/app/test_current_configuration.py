"""The configuration in force: changed files are taken over, broken ones are not."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from sensorwatch.app import Product
from sensorwatch.app.configuration import CurrentConfiguration
from sensorwatch.config.stored import read_configuration
from sensorwatch.errors import SettingsError
from sensorwatch.settings import load_settings

CALENDAR = (
    "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//a//EN\nBEGIN:VEVENT\nUID:1\nSUMMARY:{}\nDTSTART:20261202T080000Z\n"
    "DURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR\n"
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sensorwatch.yaml"
    path.write_text("detectors: [{detector: range}]", encoding="utf-8")
    return path


@pytest.fixture
def current(file: Path, clock: Clock) -> CurrentConfiguration:
    def no_container() -> None:
        raise AssertionError

    return CurrentConfiguration(str(file), lambda: read_configuration(str(file), no_container, required=True), clock)  # type: ignore[arg-type]


def detector(current: CurrentConfiguration) -> str:
    return current.current().configuration.detectors[0].detector


def test_a_changed_file_is_in_force_after_some_seconds(current: CurrentConfiguration, file: Path, clock: Clock) -> None:
    assert detector(current) == "range"
    before = current.current()
    file.write_text("detectors: [{detector: ewma}]", encoding="utf-8")
    assert current.current() is before
    clock.now += 6
    assert detector(current) == "ewma"
    assert b"ewma" in current.current().content


def test_a_file_of_the_same_size_and_time_is_read_too(current: CurrentConfiguration, file: Path, clock: Clock) -> None:
    assert detector(current) == "range"
    times = file.stat()
    file.write_text("detectors: [{detector: shift}]", encoding="utf-8")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    clock.now += 6
    assert detector(current) == "shift"


def test_an_unchanged_file_stays_the_same_object(current: CurrentConfiguration, clock: Clock) -> None:
    before = current.current()
    clock.now += 60
    assert current.current() is before


def test_a_changed_calendar_is_in_force(current: CurrentConfiguration, file: Path, clock: Clock) -> None:
    calendar = file.parent / "plan.ics"
    calendar.write_text(CALENDAR.format("one"), encoding="utf-8")
    file.write_text("maintenance: [{calendar: plan.ics}]", encoding="utf-8")
    assert "SUMMARY:one" in current.current().configuration.downtimes[0].calendar_text
    calendar.write_text(CALENDAR.format("two"), encoding="utf-8")
    clock.now += 6
    assert "SUMMARY:two" in current.current().configuration.downtimes[0].calendar_text


@pytest.mark.parametrize("broken", ["detectors: [{detector: nonsense}]", "detectors: [", None])
def test_a_broken_file_keeps_the_former_one_in_force(
    broken: str | None, current: CurrentConfiguration, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    before = current.current()
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken, encoding="utf-8")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.now += 6
            assert current.current() is before
    assert len([record for record in caplog.records if "stays in force" in record.message]) == 1
    assert str(file) in current.problem
    file.write_text("detectors: [{detector: ewma}]", encoding="utf-8")
    clock.now += 6
    assert (detector(current), current.problem) == ("ewma", "")


def test_a_missing_calendar_is_taken_when_it_comes(current: CurrentConfiguration, file: Path, clock: Clock) -> None:
    before = current.current()
    file.write_text("maintenance: [{calendar: plan.ics}]", encoding="utf-8")
    clock.now += 6
    assert current.current() is before
    assert "plan.ics" in current.problem
    (file.parent / "plan.ics").write_text(CALENDAR.format("one"), encoding="utf-8")
    clock.now += 6
    assert len(current.current().configuration.downtimes) == 1


def test_a_first_file_with_mistakes_is_refused_until_it_is_corrected(current: CurrentConfiguration, file: Path) -> None:
    file.write_text("detectors: [", encoding="utf-8")
    with pytest.raises(SettingsError, match="expected YAML"):
        current.current()
    file.write_text("detectors: [{detector: ewma}]", encoding="utf-8")
    assert detector(current) == "ewma"


def test_the_alert_policy_follows_the_configuration(file: Path, clock: Clock, tmp_path: Path) -> None:
    settings = load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/store.db", "CONFIGURATION_FILE": str(file)})
    product = Product(settings)
    vars(product._current_configuration)["_monotonic"] = clock
    before = product.alert_policy
    assert product.alert_policy is before
    file.write_text("alerts: {rules: [{device: press-1, enabled: false}]}", encoding="utf-8")
    clock.now += 1e9
    assert [rule.device for rule in product.alert_policy.section.rules] == ["press-1"]
    assert product.configuration.detectors == ()
