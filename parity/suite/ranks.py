"""Several processes that work on one task together, the ranks of a run: started once, given a function at a time."""

import atexit
import os
import pickle
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

from keras_blitz.errors import BlitzError

# What a rank's function runs within, such as a planted mistake; made in the rank, so it must be picklable.
AROUND: Callable[[], AbstractContextManager[Any]] = nullcontext

LONGEST = 600.0  # seconds that a function may take
_SIZE = struct.Struct("<Q")
_SERVE = "from parity.suite.ranks import serve; serve()"


class Ranks:
    """The processes. They end with this one, and when a function fails in one of them or takes too long.

    Args:
        environments: what each has in its environment, beside this process's.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]):
        path = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"}
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", _SERVE], env={**os.environ, **path, **own}, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )
            for own in environments
        ]  # fmt: skip
        atexit.register(self.end)

    @property
    def alive(self) -> bool:
        """Whether all processes still run."""
        return all(process.poll() is None for process in self._processes)

    def run(self, function: Callable, *arguments: Any, longest: float = LONGEST) -> list[Any]:
        """Return what a function returns in each rank.

        Args:
            function: of a module's top level.
            arguments: picklable, the same for all.
            longest: seconds.

        Raises:
            BlitzError: it raised in a rank, a rank died, or it took too long; the processes are ended.
        """
        try:
            for process in self._processes:
                assert process.stdin
                _send(process.stdin, (AROUND, function, arguments))
            answers = self._receive(time.monotonic() + longest)
        except (OSError, EOFError, pickle.PickleError) as error:
            self.end()
            raise BlitzError(f"a rank of {function.__name__} died ({type(error).__name__})") from None
        except BaseException:
            self.end()
            raise
        failed = [f"rank {rank}: {value}" for rank, (value, raised) in enumerate(answers) if raised]
        if failed:
            self.end()
            raise BlitzError("; ".join(failed))
        return [value for value, _ in answers]

    def _receive(self, end: float) -> list[Any]:
        """Return the answers in the order of the ranks, whichever comes first."""
        answers: dict[int, Any] = {}
        with selectors.DefaultSelector() as selector:
            for rank, process in enumerate(self._processes):
                selector.register(process.stdout, selectors.EVENT_READ, rank)  # type: ignore[arg-type]
            while len(answers) < len(self._processes):
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    raise BlitzError("the ranks took too long")
                for key, _ in ready:
                    answers[key.data] = _receive(key.fileobj)  # type: ignore[arg-type]
                    selector.unregister(key.fileobj)
                    if answers[key.data][1]:
                        return list(answers.values())  # the others may wait for this one
        return [answers[rank] for rank in range(len(answers))]

    def end(self) -> None:
        """End the processes, whatever they are doing."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        atexit.unregister(self.end)


def serve() -> None:
    """Run the functions that come in at standard input until it closes; what they print goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    while True:
        try:
            around, function, arguments = _receive(sys.stdin.buffer)
        except EOFError:
            os._exit(0)
        try:
            with around():
                answer = function(*arguments), False
        except Exception as error:
            answer = f"{type(error).__name__}: {error}", True
        _send(answers, answer)


def _send(pipe: IO[bytes], value: Any) -> None:
    content = pickle.dumps(value)
    pipe.write(_SIZE.pack(len(content)) + content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    header = pipe.read(_SIZE.size)
    if len(header) < _SIZE.size:
        raise EOFError
    return pickle.loads(pipe.read(_SIZE.unpack(header)[0]))
