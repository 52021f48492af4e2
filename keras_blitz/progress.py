"""Progress on standard error, where that is a terminal; nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import parent_process
from threading import Timer
from typing import Any, TypeVar

Item = TypeVar("Item")
_bars: list[Any] = []  # those that are shown


@contextmanager
def progress_bar(
    total: int, title: str, note: str = "", *, remaining: bool = False, hidden: bool = False, **fields: Any
) -> Iterator[Callable[..., None]]:
    """Show a progress bar; yield what moves it: `move(advance=1)`, `move(completed=5, field=value)`.

    Args:
        total: the number of steps.
        title: before the bar; a field is written {task.fields[name]}.
        note: after the bar, likewise.
        remaining: show the time that is left, not the time that has passed.
        hidden: show nothing.
        fields: first values of what the texts name.
    """
    from rich import progress as rich
    from rich.console import Console

    time = rich.TimeRemainingColumn() if remaining else rich.TimeElapsedColumn()
    columns = (rich.TextColumn(title), rich.BarColumn(), rich.MofNCompleteColumn(), time, rich.TextColumn(note))
    console = Console(stderr=True, highlight=False)
    # What is printed meanwhile goes above the bar, unless standard output is a file.
    with rich.Progress(
        *columns,
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        _bars.append(bar)
        try:
            yield partial(bar.update, bar.add_task("", total=total, **fields))
        finally:
            _bars.remove(bar)


def track(items: Sequence[Item], title: str, name: Callable[[Item], str]) -> Iterator[Item]:
    """Yield the items under a progress bar that shows the name of the one being worked on."""
    with progress_bar(len(items), title, "{task.fields[name]}", name="") as move:
        for item in items:
            move(name=name(item))
            yield item
            move(advance=1)


@contextmanager
def spinner(text: str) -> Iterator[Callable[[str], None]]:
    """Show that work without a known length goes on; yield what changes the text."""
    from rich.console import Console

    with Console(stderr=True).status(text) as status:
        yield status.update


@contextmanager
def late_line(text: str, after: float = 5.0) -> Iterator[Callable[[str], None]]:
    """Show one line while work goes on that takes long; yield what changes the text. The line is gone at the end.

    Nothing is shown under another progress bar, or by a process that another one started.

    Args:
        text: what is done.
        after: seconds from which on it is shown.
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or _bars or parent_process():
        yield lambda _text: None
        return
    status = console.status(text)
    timer = Timer(after, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield status.update
    finally:
        timer.cancel()
        timer.join()
        status.stop()
