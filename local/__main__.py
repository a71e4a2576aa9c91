"""The command ``python -m local setup|up|demo``, which the Makefile calls."""

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
    """Run a command and return its exit code.

    0: success. 1: the demo found a problem. 3: a port is in use. 4: the stack can't be used. 130: interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m local", description="The local stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install the npm packages, and write local.settings.json if it is missing")
    up = commands.add_parser("up", help="run the stack until Ctrl-C")
    up.add_argument("--data", type=Path, default=_ROOT / ".local", help="folder of the servers' data and logs")
    up.add_argument("--settings", type=Path, default=_ROOT / "local.settings.json", help="settings file")
    demo = commands.add_parser("demo", help="run everything once, from readings to alerts")
    demo.add_argument(
        "--data", type=Path, default=_ROOT / ".local" / "demo", help="folder of the demo's data; it is deleted first"
    )
    demo.add_argument("--report", type=Path, default=_ROOT / ".local" / "demo-report.json", help="file of the report")
    options = parser.parse_args(arguments)
    # A shell starts background jobs with SIGINT ignored, and then Python installs no handler of its own.
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
    """Raise KeyboardInterrupt as for Ctrl-C, so that every server is stopped."""
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
        print(f"The stack is up. Dashboard: {stack.host_url}. Data and logs: {data}. Press Ctrl-C to stop it.")
        print("Next, in another terminal: .venv/bin/sensorwatch simulate")
        stack.watch()
    return 0


def _demo(data: Path, report: Path) -> int:
    from local.demo import run_demo

    return run_demo(_ROOT, _TEMPLATE, data, report)


if __name__ == "__main__":
    sys.exit(main())
