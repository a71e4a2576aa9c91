"""Files of a small fleet, with a few rows that can't be used."""

from __future__ import annotations

from pathlib import Path

from sensorwatch.machines.generator import generate_fleet
from sensorwatch.machines.writing import write_data_sets

__all__ = ["small_files"]

_START = 1_420_070_400


def small_files(folder: Path) -> Path:
    """Write twelve machines and 120 days from 2015-01-01 as CSV, and one that never reports; return the folder.

    One reading of machine 3 and one of its replacements are there twice.
    """
    write_data_sets(generate_fleet(12, 120, _START, 5), folder, "csv")
    bad = {
        "telemetry": [
            "2015-02-01 00:30:00,99,1,2,3,4",
            "2015-02-01 00:30:00,3,much,2,3,4",
            "2015-02-01 00:30:00,3,1,2,3",
            "2015-02-01 00:30:00,3,170,450,100,40",
        ],
        "machines": ["13,model1,3"],
        "maint": ["2015-02-01 06:00:00,3,comp1"] * 2,
        "failures": ["2015-02-01 00:30:00,3,comp7"],
    }
    for name, lines in bad.items():
        with (folder / f"{name}.csv").open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    return folder
