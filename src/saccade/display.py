"""Shows the events of long work to a person."""

import sys
from typing import TextIO, TypeVar

from saccade.events import Epoch, Event, Note, Progress, Work, finish

Result = TypeVar("Result")


def show(work: Work[Result], stream: TextIO | None = None) -> Result:
    """Run the work to its end. On a terminal with a bar, elsewhere with one line an epoch; the result comes back."""
    stream = stream or sys.stderr
    if stream.isatty():
        return _with_bar(work, stream)

    def hear(event: Event) -> None:
        if (line := text(event)) is not None:
            print(line, file=stream, flush=True)

    return finish(work, hear)


def text(event: Event) -> str | None:
    """The line of an event; None for progress, which only a bar shows."""
    match event:
        case Note(line):
            return line
        case Epoch(measures, total):
            words = [f"epoch {measures['epoch']:.0f}/{total}", f"loss {measures['train_loss']:.4f}"]
            if "validation_accuracy" in measures:
                words.append(f"validation accuracy {measures['validation_accuracy']:.4f}")
            return ", ".join([*words, f"{measures['seconds']:.1f} s so far"])
    return None


def _with_bar(work: Work[Result], stream: TextIO) -> Result:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def hear(event: Event) -> None:
            if isinstance(event, Progress):
                bar.update(task, description=event.what, completed=event.done, total=event.total)
            elif (line := text(event)) is not None:
                bar.console.print(line, markup=False, highlight=False)

        return finish(work, hear)
