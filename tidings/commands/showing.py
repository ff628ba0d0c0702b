"""Progress of what folds the log, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


@contextmanager
def folding_shown(done_word: str = "folded") -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and a line elsewhere; yields what is told how many are done, of how many."""
    columns = (
        TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.completed:,.0f}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as progress:
        task = progress.add_task(done_word, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
