"""``python -m local setup|up|demo``: the local stack's commands, as the Makefile calls them."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.process import EXIT_PORT_IN_USE, EXIT_UNUSABLE, PortInUseError
from sensorwatch.errors import SensorwatchError

if TYPE_CHECKING:
    from types import FrameType

_ROOT = Path(__file__).resolve().parent.parent
_TEMPLATE = _ROOT / "local.settings.json.template"
_NPM_FOLDERS = (_ROOT / "local" / "azurite", _ROOT / "web")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The local stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install what comes from npm, and write local.settings.json where it is missing")
    up = commands.add_parser("up", help="start the stack and stay until Ctrl-C")
    up.add_argument("--data", type=Path, default=_ROOT / ".local", help="folder of the servers' data and logs")
    up.add_argument("--settings", type=Path, default=_ROOT / "local.settings.json", help="settings file")
    demo = commands.add_parser("demo", help="run the whole way once, from readings to alerts")
    demo.add_argument("--data", type=Path, default=_ROOT / ".local" / "demo", help="folder that is made anew")
    demo.add_argument(
        "--report", type=Path, default=_ROOT / ".local" / "demo-report.json", help="where the report goes"
    )
    options = parser.parse_args(arguments)
    # A shell starts background jobs with SIGINT ignored, and Python then installs no handler of its own.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        if options.command == "setup":
            return _setup()
        return _up(options.data, options.settings) if options.command == "up" else _demo(options.data, options.report)
    except KeyboardInterrupt:
        return 0 if options.command == "up" else 130
    except PortInUseError as exc:
        print(exc, file=sys.stderr)
        return EXIT_PORT_IN_USE
    except SensorwatchError as exc:
        print(exc, file=sys.stderr)
        return EXIT_UNUSABLE


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Unwind the stack as Ctrl-C does, so that every server is stopped."""
    raise KeyboardInterrupt


def _setup() -> int:
    from local.npm import install
    from local.settings_file import write_settings_file

    for folder in _NPM_FOLDERS:
        install(folder)
    write_settings_file(_ROOT / "local.settings.json", _TEMPLATE)
    return 0


def _up(data: Path, settings: Path) -> int:
    from local.stack import Stack

    with Stack(_ROOT, settings, data) as stack:
        print(f"The stack is up; the Functions host is at {stack.host_url}. Data and logs: {data}. Ctrl-C stops it.")
        stack.watch()
    return 0


def _demo(data: Path, report: Path) -> int:
    from local.demo import run_demo

    return run_demo(_ROOT, _TEMPLATE, data, report)


if __name__ == "__main__":
    sys.exit(main())
