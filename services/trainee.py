"""How does a training run beside a worker, and never outlive it?

    worker                                        a process of its own, in a group of its own
    Training(arguments, log)  ──starts──▶         python -m services.trainee …
                              ──holds a pipe──▶   when it closes, however the worker ended,
                                                  the whole group ends
                              ◀──exit status──    `trefoil <arguments>`, niced

A pipe, and not a signal at the parent's death: on Linux that one comes when the *thread* ends that
started the process, and it comes nowhere else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from core.artifacts import Manifest
from core.errors import TrefoilError
from core.files import written_whole

# The least urgent work there is: answers come first.
NICE: Final = 19
_PATIENCE: Final = 5.0
_REASON: Final = 400
# Seconds between two words of a training that runs, and between two looks whether to stop.
_RENEWAL: Final = 20.0
_LOOK: Final = 0.2


def options_of(manifest: Manifest, *, redacted: bool, config: Path) -> list[str]:
    """The options of a `train` as the classifier of this manifest was trained; those of its tuning
    are written to the file `config`."""
    classifier: Mapping[str, Any] = manifest.settings["classifier"]
    arguments = ["--preset", str(classifier["preset"]), "--base-model", manifest.base_model]
    arguments += ["--seed", str(classifier["seed"])]
    if not redacted:
        arguments.append("--keep-personal-data")
    if classifier.get("label_names"):
        arguments.append("--label-names")
    tuning = classifier.get("tuning") or {}
    if tuning.get("config"):
        with written_whole(config) as file:
            json.dump({"config": tuning["config"]}, file)
        arguments += ["--config", str(config)]
    return arguments


class Running(Protocol):
    """As much of a training as waiting for it needs."""

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None if it still runs after so many seconds."""

    def last_line(self) -> str:
        """The reason, where it failed."""


class Training:
    """A running `trefoil <arguments>`; what it prints goes to `log`. A context manager: leaving it
    ends the process."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", __name__, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None if it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def last_line(self) -> str:
        """The end of its log, where the reason stands."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:_REASON] if lines else "it printed nothing"

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
            if self.wait(_PATIENCE) is None:
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()
        assert self._process.stdin is not None, "opened as a pipe"
        self._process.stdin.close()


def until_done(training: Running, stop: threading.Event) -> Generator[int, None, None]:
    """Gives 1 at the start and every twenty seconds, or at once when `stop` is set, until the
    training is done: time to renew a lease, and to end it. TrefoilError: it failed."""
    status = None
    while status is None:
        yield 1
        for _ in range(int(_RENEWAL / _LOOK)):
            status = training.wait(_LOOK)
            if status is not None or stop.is_set():
                break
    if status != 0:
        raise TrefoilError(f"the training failed: {training.last_line()}")


def _end_with_worker() -> None:
    """Wait until nobody holds the other end of the pipe, then end the whole group."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """`trefoil` as the arguments say."""
    from services.cli import main as trefoil

    os.nice(NICE)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    trefoil()


if __name__ == "__main__":
    main()
