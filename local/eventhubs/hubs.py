"""Event hubs: their partitions, consumer groups and receivers."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from local.eventhubs.frames import AmqpError
from local.eventhubs.log import LogFormatError, PartitionLog
from local.eventhubs.partition_key import partition_of_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["DEFAULT_CONSUMER_GROUP", "Address", "Hub", "Hubs", "Partition", "Receiver", "parse_address"]

DEFAULT_CONSUMER_GROUP = "$Default"

_MAX_RECEIVERS = 5
_SELECTOR = re.compile(r"\s*amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=?)\s*'?([^']*?)'?\s*")


class Address(NamedTuple):
    """Parts of a link's address."""

    node: str
    consumer_group: str | None = None
    partition: str | None = None


class Receiver(Protocol):
    """A consumer's link, as its partition sees it."""

    @property
    def epoch(self) -> int | None:
        """The owner level; ``None`` for a receiver that shares the partition."""

    def steal(self, description: str) -> None:
        """Detach the link, because another receiver takes over the partition."""

    def wake(self) -> None:
        """Check for new events."""


def parse_address(address: str) -> Address:
    """Parse ``hub``, ``hub/Partitions/N`` or ``hub/ConsumerGroups/G/Partitions/N``, alone or as the path of a URL.

    Raises
    ------
    AmqpError
        The path has another form.
    """
    path = urlsplit(address).path if "://" in address else address
    parts = [unquote(part) for part in path.strip("/").split("/")]
    match [part.casefold() for part in parts]:
        case [node] if node:
            return Address(parts[0])
        case [_, "partitions", _]:
            return Address(parts[0], None, parts[2])
        case [_, "consumergroups", _, "partitions", _]:
            return Address(parts[0], parts[2], parts[4])
    raise AmqpError(
        "amqp:not-found", f"the address `{address}` does not exist: expected hub[/ConsumerGroups/G]/Partitions/N"
    )


class Partition:
    """A partition: its log, and its receivers by consumer group."""

    def __init__(self, identity: str, log: PartitionLog) -> None:
        self.identity = identity
        self.log = log
        self._receivers: dict[str, list[Receiver]] = {}

    def append(self, events: list[bytes]) -> None:
        """Write events to the log and wake all receivers.

        Raises
        ------
        AmqpError
            The events could not be written.
        """
        try:
            self.log.append(events)
        except OSError as exc:
            raise AmqpError("amqp:resource-limit-exceeded", f"the events could not be written: {exc.strerror}") from exc
        for receivers in self._receivers.values():
            for receiver in receivers:
                receiver.wake()

    def admit(self, receiver: Receiver, group: str) -> None:
        """Add a receiver and detach those that it outranks.

        A receiver with an epoch takes over the partition from all others of its group whose epoch is not higher. While
        it is attached, receivers without an epoch are refused.

        Raises
        ------
        AmqpError
            The receiver is refused.
        """
        present = self._receivers.setdefault(group, [])
        highest = max((other.epoch for other in present if other.epoch is not None), default=None)
        where = f"partition {self.identity}, consumer group {group}"
        if receiver.epoch is None:
            if highest is not None:
                raise AmqpError(
                    "amqp:link:stolen",
                    f"a receiver with epoch {highest} has {where}: receivers without an epoch are refused",
                )
            if len(present) >= _MAX_RECEIVERS:
                raise AmqpError(
                    "amqp:resource-limit-exceeded", f"{where} has {_MAX_RECEIVERS} receivers, the most allowed"
                )
        else:
            if highest is not None and highest > receiver.epoch:
                raise AmqpError(
                    "amqp:link:stolen",
                    f"a receiver with the higher epoch {highest} has {where}: epoch {receiver.epoch} is refused",
                )
            evicted = present[:]
            present.clear()
            for other in evicted:
                other.steal(f"a new receiver with epoch {receiver.epoch} takes over {where}")
        present.append(receiver)

    def leave(self, receiver: Receiver, group: str) -> None:
        """Remove a receiver, if it is attached."""
        present = self._receivers.get(group, [])
        if receiver in present:
            present.remove(receiver)

    def start_position(self, selector: str | None) -> int:
        """Return the start position in the log for a selector; without one, the start of the log.

        Raises
        ------
        AmqpError
            The selector can't be parsed or names a sequence number after the last event.
        """
        if selector is None:
            return self.log.start
        found = _SELECTOR.fullmatch(selector)
        if found is None:
            raise AmqpError("amqp:invalid-field", f"the selector `{selector}` can't be parsed")
        field, operator, text = found.groups()
        if text == "-1":
            return self.log.start
        if text == "@latest":
            return self.log.end
        try:
            value = int(text)
        except ValueError as exc:
            raise AmqpError("amqp:invalid-field", f"the selector `{selector}` must end in a whole number") from exc
        inclusive = operator == ">="
        if field == "enqueued-time":
            return self.log.position_of_time(value, inclusive=inclusive)
        if field == "sequence-number":
            wanted = value if inclusive else value + 1
            if wanted > self.log.count:
                raise AmqpError(
                    "com.microsoft:argument-out-of-range",
                    f"sequence number {value} is beyond the last of partition {self.identity}, {self.log.count - 1}",
                )
            return self.log.position_of_sequence(wanted)
        if value >= self.log.base + self.log.end:
            # The offset is not from this log. Starting over repeats events; waiting for the offset would lose some.
            return self.log.start
        return self.log.position_of_offset(value, inclusive=inclusive)


class Hub:
    """An event hub.

    Parameters
    ----------
    name
        Name as declared.
    created_ms
        Creation time, in milliseconds since 1970-01-01 UTC.
    partitions
        Partitions in the order of their ids.
    groups
        Consumer groups besides ``$Default``.
    """

    def __init__(self, name: str, created_ms: int, partitions: list[Partition], groups: Iterable[str]) -> None:
        self.name = name
        self.created_ms = created_ms
        self.partitions = partitions
        self._groups = {group.casefold(): group for group in (DEFAULT_CONSUMER_GROUP, *groups)}
        self._turns = itertools.cycle(partitions)

    def partition(self, identity: str) -> Partition:
        """Return a partition by its id.

        Raises
        ------
        AmqpError
            The hub has no such partition.
        """
        for partition in self.partitions:
            if partition.identity == identity:
                return partition
        raise AmqpError(
            "amqp:not-found",
            f"the hub `{self.name}` has the partitions 0 to {len(self.partitions) - 1}, not `{identity}`",
        )

    def group(self, name: str) -> str:
        """Return the name of a consumer group as declared; upper and lower case are not distinguished.

        Raises
        ------
        AmqpError
            The hub has no such group.
        """
        try:
            return self._groups[name.casefold()]
        except KeyError:
            known = ", ".join(self._groups.values())
            raise AmqpError(
                "amqp:not-found", f"the hub `{self.name}` has the consumer groups {known}, not `{name}`"
            ) from None

    def route(self, key: str | None) -> Partition:
        """Return the partition of a key; without a key, the partitions in turn."""
        if key is None:
            return next(self._turns)
        return self.partitions[partition_of_key(key, len(self.partitions))]


class Hubs:
    """All event hubs of a data folder.

    Parameters
    ----------
    folder
        Folder of the logs; created if missing.
    sizes
        Number of partitions by hub; can be increased later, but not decreased.
    groups
        Consumer groups besides ``$Default``, the same for every hub.
    now_ms
        Current time, in milliseconds since 1970-01-01 UTC.

    Raises
    ------
    LogFormatError
        A file in the folder has another format, or an existing hub has more partitions than ``sizes`` says.
    """

    def __init__(
        self, folder: Path, sizes: Mapping[str, int], groups: Iterable[str], now_ms: Callable[[], int]
    ) -> None:
        groups = tuple(groups)
        self._hubs: dict[str, Hub] = {}
        try:
            for name, size in sizes.items():
                self._hubs[name.casefold()] = _open_hub(folder / name, name, size, groups, now_ms)
        except BaseException:
            self.close()
            raise

    def hub(self, name: str) -> Hub:
        """Return a hub by its name; upper and lower case are not distinguished.

        Raises
        ------
        AmqpError
            The hub does not exist.
        """
        try:
            return self._hubs[name.casefold()]
        except KeyError:
            known = ", ".join(hub.name for hub in self._hubs.values())
            raise AmqpError("amqp:not-found", f"there is no hub `{name}`; the hubs are {known}") from None

    @property
    def summary(self) -> str:
        """Names and sizes of the hubs, for people."""
        return ", ".join(f"{hub.name} ({len(hub.partitions)} partitions)" for hub in self._hubs.values())

    def close(self) -> None:
        """Close all logs."""
        for hub in self._hubs.values():
            for partition in hub.partitions:
                partition.log.close()


def _open_hub(folder: Path, name: str, size: int, groups: tuple[str, ...], now_ms: Callable[[], int]) -> Hub:
    folder.mkdir(parents=True, exist_ok=True)
    about = folder / "hub.json"
    try:
        known = json.loads(about.read_text())
        created_ms, known_size = int(known["created_ms"]), int(known["partitions"])
    except FileNotFoundError:
        created_ms, known_size = now_ms(), 0
    except (ValueError, KeyError, TypeError) as exc:
        raise LogFormatError(f"{about} can't be read ({exc}): delete {folder} to start with an empty hub") from exc
    if size < known_size:
        raise LogFormatError(
            f"hub `{name}` has {known_size} partitions and can't shrink to {size}: "
            f"keep {known_size}, or delete {folder} to start with an empty hub"
        )
    logs: list[PartitionLog] = []
    try:
        for number in range(size):
            logs.append(PartitionLog(folder / f"partition-{number}.log", now_ms))  # noqa: PERF401
    except BaseException:
        for log in logs:
            log.close()
        raise
    if size > known_size:
        fresh = about.with_suffix(".new")
        fresh.write_text(json.dumps({"created_ms": created_ms, "partitions": size}) + "\n")
        fresh.replace(about)
    return Hub(name, created_ms, [Partition(str(number), log) for number, log in enumerate(logs)], groups)
