"""Receivers for alert sinks: each knows how to make a sink, and the keys that arrived from it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from azure.eventhub import EventData, EventHubConsumerClient, PartitionContext
from local_stack import pick_port

__all__ = ["EventHubReceiver", "MailServer", "Post", "WebhookServer", "captured_log", "running_broker"]


class Post:
    """One request that arrived."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]

    @property
    def json(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.body))


class WebhookServer:
    """An HTTP server on loopback that keeps what is posted, and answers what a test says.

    ``answer`` gets each request before it is kept, and returns a status; None hangs until the server closes.
    """

    def __init__(self, answer: Callable[[Post], int | None] = lambda post: 200) -> None:
        self.posts: list[Post] = []
        self.answer = answer
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                post = Post(dict(self.headers.items()), body)
                status = outer.answer(post)
                if status is None:
                    outer._closing.wait(60)
                    self.close_connection = True
                    return
                if 200 <= status < 300:
                    outer.posts.append(post)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            # A client that went away is what some tests are about.
            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    @property
    def keys(self) -> list[str]:
        return [post.key for post in self.posts]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def __enter__(self) -> WebhookServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MailServer:
    """An SMTP server on loopback that keeps what is delivered."""

    def __init__(self, **options: Any) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refusal = ""
        self.refused_recipient = ""
        self.port = pick_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: object, session: object, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address == self.refused_recipient:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refusal:
            return self.refusal
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"

    @property
    def keys(self) -> list[str]:
        return [str(mail["X-Sensorwatch-Key"]) for mail in self.mails]

    def close(self) -> None:
        self._controller.stop()

    def __enter__(self) -> MailServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def running_broker(data: Path, *hubs: str) -> Iterator[str]:
    """A running Event Hubs broker; its connection string."""
    arguments = ["--port", "0", "--data", str(data), *(word for hub in hubs for word in ("--hub", hub))]
    process = subprocess.Popen([sys.executable, "-m", "local.eventhubs", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().split("127.0.0.1:")[1].split(":")[0]
        yield f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=x;SharedAccessKey=hunter2;UseDevelopmentEmulator=true"
    finally:
        process.terminate()
        process.communicate(timeout=60)


class EventHubReceiver:
    """Keeps the events in a hub as they arrive."""

    def __init__(self, connection: str, hub: str) -> None:
        self.events: list[tuple[str, EventData]] = []
        self.connection = connection
        self._client = EventHubConsumerClient.from_connection_string(
            connection, consumer_group="$Default", eventhub_name=hub
        )

        def take(context: PartitionContext, events: list[EventData]) -> None:
            self.events.extend((context.partition_id, event) for event in events)

        options = {"starting_position": "-1", "max_wait_time": 0.2}
        self._thread = threading.Thread(target=self._client.receive_batch, args=(take,), kwargs=options)
        self._thread.start()

    @property
    def keys(self) -> list[str]:
        return [str(event.message_id) for _, event in self.events]

    def close(self) -> None:
        self._client.close()
        self._thread.join(20)

    def __enter__(self) -> EventHubReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def captured_log(name: str) -> Iterator[list[str]]:
    """Keep what a logger is given."""
    texts: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    handler, logger = Keep(), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield texts
    finally:
        logger.removeHandler(handler)
