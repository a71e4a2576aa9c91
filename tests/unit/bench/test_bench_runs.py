from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.measure import merge_results


def test_the_benchmarks_of_ingestion_run_and_keep_their_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "bench.json"
    main(["ingest", "store", "step", "telemetry", "memory", "file", "--quick", "--results", str(results)])
    figures = json.loads(results.read_text(encoding="utf-8"))
    assert figures["quick"] is True
    assert figures["ingest, batches of 1000"]["sensorwatch"]["median"] > 0
    assert figures["step"]["batches of 1,000"]["median"] > 0
    assert figures["store"]["commits of 1,000"]["median"] > 0
    assert figures["memory"]["readings"] > 0
    assert figures["telemetry"]["no exporter"] < figures["telemetry"]["batch_ms"]
    assert figures["file, by the clock"]["sensorwatch to SQLite"]["median"] > 0
    assert "Decode and aggregate, batches of 1,000" in capsys.readouterr().out


def test_figures_of_other_benchmarks_are_kept(tmp_path: Path) -> None:
    results = tmp_path / "bench.json"
    merge_results({"a": 1, "b": 1}, results)
    merge_results({"b": 2}, results)
    assert json.loads(results.read_text(encoding="utf-8")) == {"a": 1, "b": 2}


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no such benchmark: nonsense; choose from ingest, store, step, memory, file" in capsys.readouterr().err
