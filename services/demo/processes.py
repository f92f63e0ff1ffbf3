"""How are several servers started together, and stopped so that none is left behind?

Children run in sessions of their own, so that Ctrl-C reaches the demo alone, which then asks each
child to stop. On Linux the kernel also ends them should the demo itself be killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import TrefoilError

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 10.0


class ChildFailed(TrefoilError):
    """A server or worker ended by itself."""


@dataclass
class Child:
    """A running command; what it prints is in `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_line(self) -> str:
        """The end of its log, where the reason stands."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it printed nothing"


class Processes:
    """Children of the demo. Use as a context manager: leaving it stops them all."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self.children: list[Child] = []

    def __enter__(self) -> Processes:
        self._log_folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of the children running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.stop()

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Start `trefoil <arguments>`; its output goes to a log file of its own."""
        log = self._log_folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "services.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def check(self) -> None:
        """ChildFailed names the first child that has ended by itself."""
        for child in self.children:
            status = child.process.poll()
            if status is not None:
                raise ChildFailed(
                    f"{child.name} ended with status {status}: {child.last_line()}",
                    mend=f"Its whole output is in {child.log}.",
                )

    def wait_until_ready(self, addresses: Mapping[str, str], seconds: float = 90.0) -> None:
        """Until each address answers 200. `addresses`: name → URL."""
        waiting = dict(addresses)
        deadline = time.monotonic() + seconds
        while waiting:
            self.check()
            waiting = {name: url for name, url in waiting.items() if not answers(url)}
            if waiting and time.monotonic() > deadline:
                names = ", ".join(waiting)
                raise ChildFailed(
                    f"{names} not ready after {seconds:.0f} s",
                    mend=f"See the logs in {self._log_folder}.",
                )
            time.sleep(0.1 if waiting else 0)

    def stop(self) -> None:
        """Ask every child to stop; end those that do not within ten seconds."""
        for child in self.children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for child in self.children:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.process.wait()
        self.children = []


def answers(url: str) -> bool:
    """Whether the address gives a 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own server
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def require_free_ports(ports: Mapping[int, str]) -> None:
    """TrefoilError names the first port that something else listens on. `ports`: port → who."""
    for port, name in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise TrefoilError(
                    f"port {port}, which {name} needs, is taken",
                    mend=f"End what listens there (lsof -i :{port}), or is the demo running?",
                ) from None


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process.poll() is None:
        try:
            os.killpg(child.process.pid, number)
        except ProcessLookupError:
            return  # it ended between the two calls


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
