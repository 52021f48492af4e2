"""Several workers started on this machine, and ended together: `--workers 2`.

The chief's output is this process's. What another worker says is kept, and printed only where that worker is the first
that failed. Each worker has a session of its own: Ctrl-C reaches this process, which passes it on once.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from keras_blitz.training.cluster import TF_CONFIG, Cluster

LAUNCHER = "KERAS_BLITZ_LAUNCHER"  # in a worker's environment: the pipe that closes when the launcher ends
GRACE = 15.0  # seconds in which the others may notice that one has ended, and end themselves
LOST = 3  # the exit status of a worker that lost the others, and of the launcher then
INTERRUPTED = 130
_KEPT_LINES = 20
_BETWEEN = 0.05  # seconds between two looks at the workers


@dataclass
class Worker:
    """A process, and the last lines it said.

    Args:
        rank: from 0, the chief.
        process: what runs.
        lines: of its output; the chief's are not kept.
        reader: the thread that keeps them.
        status: what it ended with by itself, negative for a signal; None: it had to be killed.
    """

    rank: int
    process: subprocess.Popen
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    reader: threading.Thread | None = None
    status: int | None = None

    def end(self) -> None:
        """Keep the status, then end the process, which may be one that is stopped."""
        self.status = self.process.poll()
        self.process.kill()
        self.process.wait()
        if self.reader and self.process.stdout:
            self.reader.join(2)
            self.process.stdout.close()


def launch(count: int, command: Sequence[str], name: str) -> int:
    """Run a command `count` times on this machine as one cluster; return the exit status.

    When one worker ends badly the others have `GRACE` seconds to end by themselves; then they are killed.

    Args:
        count: the number of workers, ≥ 2.
        command: program and arguments; each process is given its own TF_CONFIG.
        name: of the script, which the line about a worker that failed begins with.

    Returns:
        0; `LOST` where a worker was killed or no longer answered; otherwise the status of the worker that failed.
    """
    alive, held = os.pipe()  # the workers see it close, however this process ends
    workers: list[Worker] = []
    try:
        with _signals_passed_on(workers):
            for cluster in local_clusters(count):
                workers.append(_start(cluster, command, alive))
            _wait_for_all(workers)
    finally:
        for worker in workers:
            worker.end()
        os.close(alive)
        os.close(held)
    return _report(workers, name)


def local_clusters(count: int) -> list[Cluster]:
    """Return the same free ports of the loopback interface as each worker's cluster."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:  # all bound at a time, so that no port comes twice
        one.bind(("127.0.0.1", 0))
    addresses = tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
    for one in sockets:
        one.close()
    return [Cluster(addresses, rank) for rank in range(count)]


def _start(cluster: Cluster, command: Sequence[str], alive: int) -> Worker:
    environment = {**os.environ, TF_CONFIG: cluster.tf_config(), LAUNCHER: str(alive)}
    kept: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    process = subprocess.Popen(
        command, env=environment, pass_fds=[alive], start_new_session=True, **(kept if cluster.rank else {})
    )
    worker = Worker(cluster.rank, process)
    if process.stdout:
        worker.reader = threading.Thread(target=worker.lines.extend, args=[process.stdout], daemon=True)
        worker.reader.start()
    return worker


@contextmanager
def _signals_passed_on(workers: Sequence[Worker]) -> Iterator[None]:
    def pass_on(number: int, frame: Any) -> None:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.send_signal(number)

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_all(workers: Sequence[Worker]) -> None:
    """Wait until all have ended; from the first that failed on, at most `GRACE` seconds."""
    since = None
    while None in (statuses := [worker.process.poll() for worker in workers]):
        if since is None and any(statuses):
            since = time.monotonic()
        if since is not None and time.monotonic() - since > GRACE:
            return
        time.sleep(_BETWEEN)


def _report(workers: Sequence[Worker], name: str) -> int:
    """Say in one line which worker was lost, or what a worker said that failed; return the exit status."""
    killed = [worker for worker in workers if worker.status is not None and worker.status < 0]
    failed = [worker for worker in workers if worker.status and worker.status > 0 and worker.status != LOST]
    silent = [worker for worker in workers if worker.status is None]
    lost = [worker for worker in workers if worker.status == LOST]
    if not (killed or failed or silent or lost):
        return 0
    if failed and not killed:
        first = failed[0]
        if first.rank and first.status != INTERRUPTED:  # the chief has said so itself
            sys.stderr.writelines(f"[worker {first.rank}] {line}" for line in first.lines)
        return first.status or 0
    worker = (killed or silent or lost)[0]
    how = "no longer answered" if worker in silent else "lost the others"
    if worker in killed:
        how = f"was ended by {signal.Signals(-(worker.status or 0)).name}"
    print(
        f"{name}: worker {worker.rank} of {len(workers)} {how}; --resume goes on from the last checkpoint",
        file=sys.stderr,
    )
    return LOST
