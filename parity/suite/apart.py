"""Cases in processes of their own, side by side: what a process held in memory goes with it, and one that dies takes no
other case along.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, TypeVar

from keras_blitz.errors import BlitzError

Item = TypeVar("Item")


def each(
    function: Callable,
    groups: Iterable[Sequence[Item]],
    *arguments,
    jobs: int = 1,
    started: Callable[[Item], None] | None = None,
) -> Iterator[tuple[Item, Any]]:
    """Yield (case, function(case, *arguments)) as the cases complete; None in place of the result where a process died.

    A process that has done its group takes the next one. The cases that a process leaves when it dies go to a new one.

    Args:
        function: of a module's top level, because the new process imports it.
        groups: cases that share what they have compiled and read; a group runs in one process, in this order.
        arguments: picklable.
        jobs: how many processes run at a time.
        started: is called with each case when a process has begun with it.

    Raises:
        BlitzError: a function raised it, which ends all processes.
    """
    waiting = deque(deque(group) for group in groups if group)
    workers: list[_Worker] = []
    started = started or (lambda case: None)
    try:
        while waiting or any(worker.cases for worker in workers):
            workers += [_Worker(function, arguments) for _ in range(min(jobs - len(workers), len(waiting)))]
            for worker in workers:
                if waiting and not worker.cases:
                    worker.take(waiting.popleft())
                    started(worker.cases[0])
            busy: dict[Any, _Worker] = {worker.pipe: worker for worker in workers if worker.cases}
            for pipe in wait(list(busy)):
                worker = busy[pipe]
                result, died = worker.receive()
                case = worker.cases.popleft()
                if died:
                    worker.end()
                    workers.remove(worker)
                    waiting.extendleft([worker.cases] if worker.cases else [])
                elif worker.cases:
                    started(worker.cases[0])
                yield case, result
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process, and the cases that it has still to run: the first is the one it is at."""

    def __init__(self, function: Callable, arguments: tuple):
        context = multiprocessing.get_context("spawn")  # a fork of a process that has run TensorFlow may hang
        self.cases: deque = deque()
        self.pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, function, arguments), daemon=True)
        with _without_interrupts(), _without_working_directory():
            self._process.start()
        there.close()

    def take(self, cases: deque) -> None:
        """Run these cases; a process that has died is noticed in `receive`."""
        self.cases = cases
        with suppress(OSError):
            self.pipe.send(list(cases))

    def receive(self) -> tuple:
        """Return the next result, and whether the process has died, which closes its end of the pipe."""
        try:
            result = self.pipe.recv()
        except (EOFError, OSError):
            return None, True
        if isinstance(result, BlitzError):
            raise result
        return result, False

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start a process that never sees Ctrl-C, which the terminal sends to all: this process takes it and ends them."""
    resource_tracker.ensure_running()  # which the first process would start, and that ends with Ctrl-C let through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a new process inherits it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_working_directory() -> Iterator[None]:
    """Start a process that imports nothing from the working directory, where a user may have a file `select.py`.

    It would look there first, because it is started with `python -c`; it is handed this process's path a little later.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _serve(there, function: Callable, arguments: tuple) -> None:
    """Take groups of cases, and send a result for each, until the other side closes the pipe, or is killed."""
    while True:
        try:
            cases = there.recv()
        except (EOFError, OSError):
            return
        for case in cases:
            outcome = _outcome(function, case, arguments)
            try:
                there.send(outcome)
            except OSError:
                return


def _outcome(function: Callable, case, arguments: tuple):
    try:
        return function(case, *arguments)
    except BlitzError as error:
        return error
