"""Telemetry files stay within their limit, and nothing is lost while several processes write and read."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.errors import NotFoundError
from sensorwatch.telemetry.recorded import Recording
from sensorwatch.telemetry.rotation import RotatingFile, read_parts

_WRITE = """
import sys
from pathlib import Path
from sensorwatch.telemetry.rotation import RotatingFile
file = RotatingFile(Path(sys.argv[1]), int(sys.argv[2]))
sys.stdin.readline()
for number in range(2000):
    file.append(f"{sys.argv[3]} {number:06} {'x' * 80}\\n".encode())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.jsonl"


def held(path: Path) -> bytes:
    return b"".join(content for _, content in read_parts(path))


def all_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def write_at_once(path: Path, most_bytes: int, processes: int) -> None:
    """Write 2,000 lines of 90 bytes in each of several processes."""
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITE, str(path), str(most_bytes), str(n)], stdin=subprocess.PIPE)
        for n in range(processes)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0


@settings(max_examples=60)
@given(st.lists(st.integers(1, 100), max_size=120))
def test_the_newest_content_is_kept_in_order_within_the_limit(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "telemetry.jsonl"
        file, written = RotatingFile(path, 400), b""
        for number, size in enumerate(sizes):
            content = b"%c" % (97 + number % 26) * size
            file.append(content)
            written += content
            assert written.endswith(held(path))
            assert min(len(written), 200) <= len(held(path)) == all_bytes(path.parent) <= 400


def test_other_files_beside_it_are_left_alone(path: Path) -> None:
    others = ["telemetry-7.jsonl", "telemetry-000001-1.json", "old-telemetry-000001-1.jsonl", "telemetry.jsonl.bak"]
    for name in others:
        path.with_name(name).write_bytes(b"other" * 100)
    file = RotatingFile(path, 40)
    for _ in range(50):
        file.append(b"12345")
    assert held(path) == b"12345" * 8
    assert all(path.with_name(name).stat().st_size == 500 for name in others)


def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "new" / "telemetry.jsonl", 400)
    for _ in range(30):
        file.append(b"0123456789")
    modes = [part.stat().st_mode & 0o777 for part in (tmp_path / "new").iterdir()]
    assert len(modes) > 1
    assert set(modes) == {0o600}


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    write_at_once(path, most_bytes=1_000_000, processes=3)
    lines = held(path).decode().splitlines()
    assert sorted(line[:8] for line in lines) == [f"{n} {number:06}" for n in range(3) for number in range(2000)]


def test_processes_that_write_at_once_keep_to_the_limit_and_one_file_each(path: Path) -> None:
    write_at_once(path, most_bytes=160_000, processes=3)
    assert 80_000 <= all_bytes(path.parent) <= 160_000 + 2 * 10_000


def test_a_file_that_another_process_deleted_is_begun_again(path: Path) -> None:
    file = RotatingFile(path, 4000)
    file.append(b"old")
    for part in path.parent.iterdir():
        part.unlink()
    file.append(b"new")
    assert held(path) == b"new"


def test_the_number_of_files_is_limited_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.telemetry.rotation._MOST_PARTS", 3)
    numbers = count()
    monkeypatch.setattr("time.time_ns", lambda: 10**18 + next(numbers))
    for number in range(10):
        RotatingFile(path, 400).append(b"%d" % number)
    assert held(path) == b"6789"


def test_a_recording_is_read_over_the_files_of_all_processes(path: Path) -> None:
    line = b'{"metric": "m", "attributes": {}, "value": 2}\n'
    path.write_bytes(line)
    for _ in range(10):
        RotatingFile(path, 1000).append(line)
    assert len(read_parts(path)) == 11
    assert Recording.read(path).total("m") == 22


@pytest.mark.parametrize("name", ["telemetry.jsonl", "folder/telemetry.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match="no such file; set TELEMETRY_EXPORTER to file"):
        Recording.read(tmp_path / name)
