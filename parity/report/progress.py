"""The progress bar of the commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def progress_of(items: list, title: str, name: Callable) -> Iterator:
    """Yield the items under a progress bar."""
    with bar(title, len(items)) as (show, advance):
        for item in items:
            show(name(item))
            yield item
            advance()


@contextmanager
def bar(title: str, total: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """Show a progress bar on standard error, where that is a terminal; give what names the item, and what counts it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from parity.report import text

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = text.console(stderr=True)
    columns = (*columns, TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=total)
        yield lambda name: shown.update(task, description=name), lambda: shown.advance(task)
