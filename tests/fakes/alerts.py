"""Alert sinks in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sensorwatch.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sensorwatch.alerts.message import AlertMessage

__all__ = ["FakeSink", "HangingSink"]


class FakeSink:
    """Keeps the messages that it is sent; refuses all while it is away, and those whose keys are refused."""

    def __init__(self, name: str = "fake", *, waits: bool = False) -> None:
        self.name = name
        self.waits = waits
        self.away = False
        self.refused: Collection[str] = ()
        self.messages: list[AlertMessage] = []
        self.tries = 0
        self.threads: set[str] = set()

    @property
    def sent(self) -> list[str]:
        """Return the keys of the messages."""
        return [message.key for message in self.messages]

    def send(self, message: AlertMessage) -> None:
        self.tries += 1
        self.threads.add(threading.current_thread().name)
        if self.away or message.key in self.refused:
            raise TransientError("the sink is away")
        self.messages.append(message)

    def close(self) -> None:
        pass


class HangingSink(FakeSink):
    """Hangs until a test lets it go."""

    def __init__(self, name: str) -> None:
        super().__init__(name, waits=True)
        self.let_go = threading.Event()

    def send(self, message: AlertMessage) -> None:
        assert self.let_go.wait(30)
        super().send(message)
