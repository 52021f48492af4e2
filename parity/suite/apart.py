"""Cases run in a process of their own: what it held in memory goes with it, and a crash takes no other case along."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence

from parity.suite.case import Case


def each(function: Callable, cases: Sequence[Case], *arguments) -> Iterator:
    """Yield function(case, *arguments) for each case, all from one new process; None for all that a crash leaves.

    Args:
        function: of a module's top level, for the new process imports it.
        cases: to be run in this order.
        arguments: picklable.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process that has run TensorFlow may hang
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(there, function, cases, arguments), daemon=True)
    process.start()
    there.close()
    try:
        for _ in cases:
            yield _received(here)
    finally:
        process.kill()
        process.join()


def _received(here):
    """Wait for the next result; None from a process that has died, for that closes its end of the pipe."""
    try:
        return here.recv()
    except (EOFError, OSError):
        return None


def _serve(there, function: Callable, cases: Sequence[Case], arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to take; it ends this process
    for case in cases:
        there.send(function(case, *arguments))
