"""The wheel holds the product: no tests, no local stack, no top-level name that other projects use too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from sensorwatch import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = {"batch_tasks", "sensorwatch"}
# Sources that a wheel must not pick up by accident.
OUTSIDE = ("function_app.py", "functions", "local/__init__.py", "local/__main__.py", "bench/__init__.py")
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources: setuptools leaves files where it builds."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    files = ["pyproject.toml", "README.md", "LICENSE", *(path.name for path in ROOT.glob("requirements*.txt"))]
    for name in (*files, *sorted(PACKAGES), *OUTSIDE):
        target = folder / "sources" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    subprocess.run([sys.executable, "-c", _BUILD, str(folder)], cwd=folder / "sources", check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def metadata_of(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        text = archive.read(f"sensorwatch-{__version__}.dist-info/METADATA").decode()
    return Parser().parsestr(text)


def test_the_wheel_holds_the_product_and_no_other_top_level_package(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names} == {*PACKAGES, f"sensorwatch-{__version__}.dist-info"}
    sources = {path.relative_to(ROOT).as_posix() for top in PACKAGES for path in (ROOT / top).rglob("*.py")}
    assert sources <= names
    assert "sensorwatch/py.typed" in names
    assert f"sensorwatch-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_wheel_says_who_made_it_under_which_licence_and_what_it_needs(wheel: Path) -> None:
    about = metadata_of(wheel)
    assert about["Version"] == __version__
    assert about["License-Expression"] == "MIT"
    assert about["Author"] == "The Sensorwatch authors"
    assert about["Requires-Python"] == "<3.15,>=3.11"
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(required) == sum(not line.startswith("#") for line in lines if line)
    assert sorted(about.get_all("Provides-Extra", [])) == ["onnx", "otlp"]
