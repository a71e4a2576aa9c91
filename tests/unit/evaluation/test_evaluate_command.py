from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sensorwatch.cli.app import app
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.evaluation.charts import Band, score_chart, values_chart
from sensorwatch.evaluation.labelled_files import read_labelled
from sensorwatch.evaluation.labelled_series import LabelledSeries
from sensorwatch.evaluation.scored_series import ScoredSeries
from sensorwatch.evaluation.spans import spans

WINDOW_SECONDS = 300
N = 600
ANOMALY = (400, 419)


def stamp(i: int) -> str:
    return str(np.datetime64("2026-11-01T00:00:00") + np.timedelta64(i * WINDOW_SECONDS, "s")).replace("T", " ")


def values() -> list[float]:
    noise = np.random.default_rng(4).normal(20, 1, N)
    noise[ANOMALY[0] : ANOMALY[1] + 1] += 30
    return [float(value) for value in noise.round(3)]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    rows = [f"{stamp(i)}Z,{value},{int(ANOMALY[0] <= i <= ANOMALY[1])}" for i, value in enumerate(values())]
    file = tmp_path / "oven.csv"
    file.write_text("TS,Value,Label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def nab(tmp_path: Path) -> Path:
    folder = tmp_path / "nab/data/machines"
    folder.mkdir(parents=True)
    rows = "\n".join(f"{stamp(i)},{value}" for i, value in enumerate(values()))
    (folder / "oven.csv").write_text(f"timestamp,value\n{rows}\n", encoding="utf-8")
    windows = {"machines/oven.csv": [[f"{stamp(ANOMALY[0])}.000000", f"{stamp(ANOMALY[1])}.000000"]]}
    (tmp_path / "nab/labels").mkdir()
    (tmp_path / "nab/labels/combined_windows.json").write_text(json.dumps(windows), encoding="utf-8")
    return tmp_path / "nab/data"


# ---- files -----------------------------------------------------------------------------------------------------------


def test_both_formats_give_the_same_series(plain: Path, nab: Path) -> None:
    (one,), (other,) = read_labelled(plain), read_labelled(nab)
    assert (one.name, other.name) == ("oven.csv", "machines/oven.csv")
    np.testing.assert_array_equal(one.times, other.times)
    np.testing.assert_array_equal(one.values, values())
    np.testing.assert_array_equal(other.values, values())
    for each in (one, other):
        assert [int(edge[0]) for edge in spans(each.labels)] == list(ANOMALY)
    assert int(one.times[0]) == 1_793_491_200


def test_a_file_of_nab_finds_its_labels_above_it_or_by_name(nab: Path, tmp_path: Path) -> None:
    file = nab / "machines/oven.csv"
    assert read_labelled(file)[0].labels.sum() == 20
    moved = tmp_path / "windows.json"
    (nab.parent / "labels/combined_windows.json").rename(moved)
    assert read_labelled(file, moved)[0].labels.sum() == 20
    with pytest.raises(NotFoundError, match="path with --labels"):
        read_labelled(file)


def test_rows_are_ordered_and_an_empty_value_is_missing(tmp_path: Path) -> None:
    rows = [f"{stamp(9 - i)}Z,{'' if i == 3 else i},{'true' if i == 2 else 'False'}" for i in range(10)]
    (tmp_path / "a.csv").write_text("TS,Value,Label\n" + "\n".join(rows), encoding="utf-8")
    (series,) = read_labelled(tmp_path)
    assert np.all(np.diff(series.times) == WINDOW_SECONDS)
    assert np.flatnonzero(np.isnan(series.values)).tolist() == [6]
    assert np.flatnonzero(series.labels).tolist() == [7]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (stamp(5) + "Z", "yesterday", r"line 7: expected a time in ISO 8601 in the column TS, got `yesterday`"),
        (",0\n", ",maybe\n", r"line 2: expected 0 or 1 in the column Label, got `maybe`"),
        ("TS,Value,Label", "When,Value,Label", r"expected the columns TS, Value, Label, or timestamp, value as in NAB"),
    ],
)
def test_a_file_that_cant_be_read_says_where_and_why(plain: Path, old: str, new: str, message: str) -> None:
    plain.write_text(plain.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=message):
        read_labelled(plain)


def test_a_value_that_is_not_a_number_is_refused(plain: Path) -> None:
    lines = plain.read_text(encoding="utf-8").splitlines()
    lines[3] = f"{stamp(2)}Z,hot,0"
    plain.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"line 4: expected a number in the column Value, got `hot`"):
        read_labelled(plain)


def test_missing_files_and_labels_are_reported(tmp_path: Path, nab: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file or folder"):
        read_labelled(tmp_path / "none.csv")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NotFoundError, match="expected CSV files"):
        read_labelled(empty)
    (nab / "machines/other.csv").write_text((nab / "machines/oven.csv").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"no entry for it; expected its path"):
        read_labelled(nab)


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_compares_detectors_side_by_side(plain: Path) -> None:
    given = ["evaluate", str(plain), "--detector", "ocsvm", "--detector", "ocsvm_sklearn", "--json"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.output)
    ours, sklearn = figures["detectors"]
    assert (ours["detector"], sklearn["detector"]) == ("ocsvm", "ocsvm_sklearn")
    assert ours["vus_pr"] > 0.5
    assert ours["auc_pr"] == 1.0
    assert (ours["anomalies"], ours["detected"], ours["delay_seconds"]) == (1, 1, 0)
    assert ours["nab_score"] == ours["nab_alarm_score"] == 100.0
    assert ours["by_series"][0]["name"] == "oven.csv"
    assert figures["without_model"] == []
    table = CliRunner().invoke(app, [*given[:-1], "--by-series"])
    assert table.exit_code == 0, table.output
    assert "1 series, 600 windows; trained on the first 15% of each" in table.output
    assert table.output.count("ocsvm_sklearn") == 2


def test_results_for_nabs_runner_are_as_it_reads_them(nab: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    given = ["evaluate", str(nab), "--detector", "ocsvm", "--detector", "ewma", "--nab-results", str(results)]
    for place in (nab, nab / "machines", nab / "machines/oven.csv"):
        result = CliRunner().invoke(app, [*given[:1], str(place), *given[2:], "--train-at-most", "50"])
        assert result.exit_code == 0, result.output
        assert f"to {results}, as sensorwatch_ocsvm, sensorwatch_ewma;" in result.output
    files = sorted(file.relative_to(results).as_posix() for file in results.rglob("*.csv"))
    assert files == [f"sensorwatch_{name}/machines/sensorwatch_{name}_oven.csv" for name in ("ewma", "ocsvm")]
    rows = list(csv.DictReader((results / files[1]).open(encoding="utf-8")))
    assert [row["timestamp"] for row in rows] == [stamp(i) for i in range(N)]
    assert [float(row["value"]) for row in rows] == values()
    assert [i for i, row in enumerate(rows) if row["label"] == "1"] == list(range(ANOMALY[0], ANOMALY[1] + 1))
    told = np.array([float(row["anomaly_score"]) for row in rows])
    assert told[:50].max() == 0.0
    assert told[50:].max() == told[ANOMALY[0]] <= 1.0
    # What is told once is not told again while it lasts.
    assert (told[ANOMALY[0] + 1 : ANOMALY[1] + 1] == 0.0).mean() > 0.5


def test_a_detector_that_does_not_exist_is_refused(plain: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(plain), "--detector", "oracle"])
    assert isinstance(result.exception, InvalidInputError)
    assert "unknown detector `oracle`; expected one of" in str(result.exception)


class Tags(HTMLParser):
    """Counts elements by their class, and checks that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.classes: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.classes.append(given.get("class") or "")
        self.addresses += [value for name, value in attrs if name in {"src", "href"} and value]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.classes.append(dict(attrs).get("class") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_one_file_with_a_picture_of_every_series_and_detector(plain: Path, tmp_path: Path) -> None:
    report = tmp_path / "out/report.html"
    (tmp_path / "again").mkdir()
    for name in ("a<b>.csv", "b.csv"):
        (tmp_path / "again" / name).write_text(plain.read_text(encoding="utf-8"), encoding="utf-8")
    given = ["evaluate", str(tmp_path / "again"), "--detector", "ocsvm", "--detector", "ocsvm_sklearn"]
    result = CliRunner().invoke(app, [*given, "--report", str(report)])
    assert result.exit_code == 0, result.output
    assert f"Wrote the report to {report}." in result.output
    text = report.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.addresses == []
    assert "a&lt;b&gt;.csv" in text
    assert (tags.classes.count("values"), tags.classes.count("scores")) == (2, 4)
    assert tags.classes.count("anomaly") == 6
    assert tags.classes.count("true-alarm") == 4
    assert not re.search(r"\bnan\b", text)
    reasons = re.findall(r"<title>alarm, [^<]* expected[^<]*; [^<;]+\.</title>", text)
    assert len(reasons) == tags.classes.count("true-alarm") + tags.classes.count("false-alarm")


def test_a_picture_of_a_long_series_keeps_its_only_spike_and_its_gap() -> None:
    n = 50_000
    times = np.arange(n, dtype=np.int64) * 60
    times[30_000:] += 86_400
    course = np.sin(np.arange(n) / 500)
    course[12_345] = 9.0
    series = LabelledSeries("long", times, course, np.zeros(n, np.bool_))
    picture = values_chart(series, 100, None)
    assert len(picture) < 60_000
    assert picture.split('class="values" d="')[1].split('"')[0].count("M") == 2
    assert ">9<" in picture
    assert " 4.0L" in picture
    assert "band" not in picture


def test_a_series_without_any_value_or_score_still_has_pictures() -> None:
    n = 20
    series = LabelledSeries("empty", np.arange(n, dtype=np.int64), np.full(n, np.nan), np.zeros(n, np.bool_))
    nothing = np.full(n - 5, np.nan)
    scored = ScoredSeries(5, nothing, nothing, np.zeros(n - 5, np.bool_), nothing, nothing, "no values")
    assert 'd=""' in values_chart(series, 5, Band("none", nothing, nothing))
    assert 'd=""' in score_chart(series, scored, 3)
