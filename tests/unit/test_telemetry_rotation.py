"""A telemetry file stays as small as it is asked to, and what is left of it has no gap, whoever writes and reads."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
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


def held(path: Path) -> bytes:
    return b"".join(content for _, content in read_parts(path))


def all_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


@settings(max_examples=60)
@given(st.lists(st.integers(1, 100), max_size=120))
def test_the_newest_is_kept_in_order_and_without_a_gap_within_the_bound(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "telemetry.jsonl"
        file, written = RotatingFile(path, 400), b""
        for number, size in enumerate(sizes):
            content = b"%c" % (97 + number % 26) * size
            file.append(content)
            written += content
            assert written.endswith(held(path))
            assert min(len(written), 200) <= len(held(path)) == all_bytes(path.parent) <= 400


def test_what_is_larger_than_the_bound_stays_until_the_next_part_is_full(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    path.write_bytes(b"o" * 5000)
    file = RotatingFile(path, 400)
    file.append(b"n" * 60)
    assert held(path) == b"o" * 5000 + b"n" * 60
    file.append(b"n" * 60)
    assert held(path) == b"n" * 120


def test_other_files_beside_it_are_left_alone(tmp_path: Path) -> None:
    others = ["telemetry-7.jsonl", "telemetry-000001-1.json", "old-telemetry-000001-1.jsonl", "telemetry.jsonl.bak"]
    for name in others:
        (tmp_path / name).write_bytes(b"other" * 100)
    file = RotatingFile(tmp_path / "telemetry.jsonl", 40)
    for _ in range(50):
        file.append(b"12345")
    assert held(tmp_path / "telemetry.jsonl") == b"12345" * 8
    assert all((tmp_path / name).stat().st_size == 500 for name in others)


def test_parts_are_numbered_on_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "telemetry.jsonl"
    file = RotatingFile(path, 40)
    for _ in range(30):
        file.append(b"0123456789")
    numbers = [int(part.name.split("-")[1]) for part, _ in read_parts(path)[:-1]]
    assert numbers == [27, 28, 29]
    assert all(part.stat().st_mode & 0o077 == 0 for part in path.parent.iterdir())


def test_processes_that_write_and_rename_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    # All that is written, 600 kB, is within the bound; a part is full after 250 kB.
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITE, str(path), "1000000", str(n)], stdin=subprocess.PIPE)
        for n in range(3)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    assert len(read_parts(path)) > 2
    lines = held(path).decode().splitlines()
    assert sorted(line[:8] for line in lines) == [f"{n} {number:06}" for n in range(3) for number in range(2000)]


def test_who_dies_before_the_oldest_is_deleted_leaves_that_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "telemetry.jsonl"
    file = RotatingFile(path, 400)
    with monkeypatch.context() as dying:
        dying.setattr(RotatingFile, "_delete_oldest", lambda self: None)
        for _ in range(10):
            file.append(b"o" * 100)
    assert all_bytes(tmp_path) == 1000
    RotatingFile(path, 400).append(b"n" * 100)
    assert held(path) == b"o" * 300 + b"n" * 100
    assert all_bytes(tmp_path) == 400


def test_who_reads_meanwhile_finds_no_gap_and_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    file = RotatingFile(path, 4000)
    file.append(b"000000\n")

    def write() -> None:
        for number in range(1, 3000):
            file.append(b"%06d\n" % number)

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while writer.is_alive() or not reads:
        numbers = [int(line) for line in held(path).splitlines()]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        reads += 1
    writer.join()
    assert held(path).endswith(b"002999\n")


def test_a_recording_is_read_over_all_parts(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    file = RotatingFile(path, 1000)
    for _ in range(10):
        file.append(b'{"metric": "m", "attributes": {}, "value": 2}\n')
    assert len(read_parts(path)) > 1
    assert Recording.read(path).total("m") == 20
    path.unlink()
    assert Recording.read(path).total("m") == 2 * sum(content.count(b"\n") for _, content in read_parts(path))


@pytest.mark.parametrize("name", ["telemetry.jsonl", "folder/telemetry.jsonl"])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match="no such file; with TELEMETRY_EXPORTER=file"):
        Recording.read(tmp_path / name)
