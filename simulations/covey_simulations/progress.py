"""Progress that a person can watch: a line for each step, with a bar where it takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

Done = Callable[[int], None]


class Progress:
    """Bars on a console, one after the other."""

    def __init__(self, console: Console) -> None:
        title = TextColumn("{task.description:<44}")
        self._bars = Bars(
            title,
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=2,
        )

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the bars while the block runs."""
        with self._bars:
            yield

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Done]:
        """Yield what to call with each bit of `total` that is done."""
        task = self._bars.add_task(what, total=total)
        yield lambda amount: self._bars.update(task, advance=amount)
        self._bars.update(task, completed=total)
