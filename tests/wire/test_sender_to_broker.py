from __future__ import annotations

import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, PartitionContext

from sensorwatch.readings import TICKS_PER_SECOND, ReadingRules, decode
from sensorwatch.records import Reading
from sensorwatch.sender import open_sender

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    arguments = ["--port", "0", "--data", str(tmp_path_factory.mktemp("hub")), "--hub", "readings:4", "--hub", "many:4"]
    process = subprocess.Popen([sys.executable, "-m", "local.eventhubs", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().split("127.0.0.1:")[1].split(":")[0]
        yield f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=x;SharedAccessKey=y;UseDevelopmentEmulator=true"
    finally:
        process.terminate()
        process.communicate(timeout=10)


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
    worker.join(timeout=10)
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
