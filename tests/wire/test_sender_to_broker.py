from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, PartitionContext
from typer.testing import CliRunner

from sensorwatch.cli.app import app
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ReadingRules, decode
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.sender import open_sender
from sensorwatch.simulation.ground_truth import read_ground_truth

pytestmark = pytest.mark.wire

PAGE = Path(__file__).parents[2] / "docs/how-to/simulate.md"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    arguments = ["--port", "0", "--data", str(tmp_path_factory.mktemp("hub")), "--hub", "readings:4", "--hub", "many:4"]
    arguments += ["--hub", "composed:4"]
    process = subprocess.Popen([sys.executable, "-m", "local.eventhubs", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().split("127.0.0.1:")[1].split(":")[0]
        yield f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=x;SharedAccessKey=y;UseDevelopmentEmulator=true"
    finally:
        process.terminate()
        process.communicate(timeout=60)


def receive(connection: str, hub: str, expected: int) -> dict[str, list[Reading]]:
    """Return the readings in the hub by partition, once there are as many as expected."""
    received: dict[str, list[Reading]] = defaultdict(list)
    complete = threading.Event()

    def take(context: PartitionContext, events: list[EventData]) -> None:
        for event in events:
            elements = decode(b"".join(event.body), enqueued_ticks=0, rules=RULES)  # type: ignore[arg-type]
            received[context.partition_id].extend(element for element in elements if isinstance(element, Reading))
        if sum(map(len, received.values())) >= expected:
            complete.set()

    client = EventHubConsumerClient.from_connection_string(connection, consumer_group="$Default", eventhub_name=hub)
    with client:
        options = {"starting_position": "-1", "max_wait_time": 0.2, "prefetch": 3000, "max_batch_size": 1000}
        worker = threading.Thread(target=client.receive_batch, args=(take,), kwargs=options)
        worker.start()
        assert complete.wait(30), f"{sum(map(len, received.values()))} of {expected} readings arrived in 30 s"
    worker.join(timeout=60)
    return received


RULES = ReadingRules(earliest_ticks=0, future_ticks=1 << 62)


@pytest.mark.parametrize(("hub", "readings_per_event"), [("readings", 1), ("many", 50)])
def test_readings_arrive_whole_and_each_device_in_order(connection: str, hub: str, readings_per_event: int) -> None:
    readings = [
        Reading(device, tag, second * TICKS_PER_SECOND + 1_234_567, second + 0.25)
        for second in range(400)
        for device in ("press-1", "pump-2", "3")
        for tag in ("flow", "5")
    ]
    with open_sender(connection, None, hub) as sender:
        assert sender.partition_ids() == ["0", "1", "2", "3"]
        assert sender.send(readings, readings_per_event=readings_per_event) == len(readings)
    received = receive(connection, hub, len(readings))
    assert sorted(reading for part in received.values() for reading in part) == sorted(readings)
    for part in received.values():
        for device in {reading.device for reading in part}:
            assert [x for x in part if x.device == device] == [x for x in readings if x.device == device]


def test_the_composed_signals_of_the_page_are_sent_with_their_labels(connection: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    file, truth = tmp_path / "signals.yaml", tmp_path / "truth.ndjson"
    file.write_text(example, encoding="utf-8")
    (tmp_path / "local.settings.json").write_text('{"Values": {}}')
    environment = {
        "SENSORWATCH_SETTINGS": str(tmp_path / "local.settings.json"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'sensorwatch.db'}",
        "EventHub": connection,
        "EVENT_HUB_NAME": "composed",
    }
    simulate = ["simulate", "--signal-file", str(file), "--truth", str(truth), "--minutes", "60", "--devices", "2"]
    simulate += ["--end", "2026-11-20T12:00:00", "--interval-seconds", "5", "--readings-per-event", "100"]
    simulate += ["--no-wait", "--json"]
    run = CliRunner()
    ended = run.invoke(app, simulate, env=environment, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    labels = read_ground_truth(truth)
    sent = json.loads(ended.stdout)
    assert sent["ingested"] is None
    assert (sent["sent"], sent["sensors"], sent["anomalies"]) == (8 * 720, 8, len(labels))
    assert {(label.tag, label.kind) for label in labels} == {("load", "marked"), ("queue", "marked")}
    received = receive(connection, "composed", 8 * 720)
    readings = sorted((each for part in received.values() for each in part), key=lambda each: each.ticks)
    valve = [each.value for each in readings if (each.device, each.tag) == ("press-1", "valve")]
    high = [number for number, value in enumerate(valve) if value > 0.5]
    assert high == [number for number in range(720) if number >= 12 and (number - 12) % 24 < 6]
    for refused in (["--tags", "3"], ["--anomalies", "2"], ["--signal", "processors"]):
        with pytest.raises(InvalidInputError, match=f"{refused[0]}.* remove this option"):
            run.invoke(app, [*simulate, *refused], env=environment, catch_exceptions=False)
