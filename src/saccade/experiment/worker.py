"""A process that trains members of a study, one after the other, as it is told on its standard input.

Started as `python -m saccade.experiment.worker`, not by multiprocessing: that would import the user's script again.
"""

import os
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from saccade.errors import InputError
from saccade.events import Epoch, Event, Work, finish


def main() -> None:
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the messages
    orders: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    threads, place, data = orders.get()

    import torch

    from saccade.experiment.study import Study

    torch.set_num_threads(threads)
    study = Study(Path(place), data)

    def say(*words: Any) -> None:
        pickle.dump(words, messages)
        messages.flush()

    try:
        say("began")  # from here on an interruption is heard between two steps
        while (member := orders.get()) is not None:
            try_member(study.run(member), say)
    except KeyboardInterrupt:  # between two runs, where there is nothing to keep; `listen` still waits on its stream
        os._exit(130)


def listen(stream: BinaryIO, orders: "SimpleQueue[Any]") -> None:
    """Hand on what comes; when nobody can send any more, because the study was killed, end at once.

    A run loses nothing by it: it goes on from its last checkpoint.
    """
    while True:
        try:
            order = pickle.load(stream)
        except EOFError:
            os._exit(1)
        except Exception as error:  # the class of the user's data may not be found here
            print(f"saccade: a process cannot read its data: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        orders.put(order)
        if order is None:
            return


def try_member(work: Work[dict[str, Any]], say: Callable[..., None]) -> None:
    """Train, and say how it ended: "done", "failed" by what the user can mend, "interrupted", or "crashed"."""
    from saccade.events import Interrupted

    def hear(event: Event) -> None:
        if isinstance(event, Epoch):
            say("epoch")

    try:
        say("done", finish(work, hear))
    except InputError as error:
        say("failed", str(error))
    except (Interrupted, KeyboardInterrupt) as stop:
        say("interrupted", str(stop))
    except Exception as error:
        say("crashed", f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
