"""Members of a study in processes of their own, so that every core has a run: one thread is seldom half as fast as two."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from saccade.errors import InputError
from saccade.events import Ended, Interrupted, Progress, Work
from saccade.experiment.members import Member
from saccade.training.cores import cores
from saccade.training.interrupt import Interruption

Record = dict[str, Any]
Message = tuple[Any, ...]
POLL = 0.2  # seconds between two looks at whether the user asked to stop


class Worker:
    """A process of worker.py. In a session of its own, so that Ctrl-C reaches it once, through us."""

    def __init__(self, inbox: "SimpleQueue[tuple[Worker, Message]]", threads: int, place: Path, data: Any):
        command = [sys.executable, "-P", "-m", "saccade.experiment.worker"]  # -P: a queue.py of the user's is not ours
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
        self.inbox, self.member, self.heard = inbox, "", False
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        self.send((threads, str(place), data))

    def send(self, order: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has died, which its silence tells
            pickle.dump(order, self.process.stdin)
            self.process.stdin.flush()

    def train(self, member: Member) -> None:
        self.member = member.name
        self.send(member)

    def close(self) -> None:
        self.process.wait()
        self.listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        while True:
            try:
                message = pickle.load(self.process.stdout)
                self.heard = True
                self.inbox.put((self, message))
            except (EOFError, pickle.UnpicklingError):
                code = self.process.wait()
                self.inbox.put((self, ("crashed", f"its process ended with code {code} (was there enough memory?)")))
                return


@contextmanager
def workers(count: int, place: Path, data: Any) -> Iterator[tuple[list[Worker], "SimpleQueue[tuple[Worker, Message]]"]]:
    """So many processes, which share the cores; at the end none is left."""
    inbox: SimpleQueue[tuple[Worker, Message]] = SimpleQueue()
    started: list[Worker] = []
    try:
        started.extend(Worker(inbox, max(1, cores() // count), place, data) for _ in range(count))
        yield started, inbox
    finally:
        for worker in started:
            worker.send(None)
            if worker.member:
                worker.process.terminate()
        for worker in started:
            worker.close()


def in_processes(members: Sequence[Member], count: int, place: Path, data: Any) -> Work[dict[str, Record]]:
    """The record of every member, {"failed": why} for one that failed; Interrupted, all kept, when the user asks for it."""
    waiting, found = deque(members), dict[str, Record]()
    epochs, planned = 0, sum(member.recipe.epochs for member in members)
    with Interruption() as interruption, workers(min(count, len(members)), place, data) as (started, inbox):
        for worker in started:
            worker.train(waiting.popleft())
        while any(worker.member for worker in started):
            if interruption.asked is not None:
                stop(started)
                raise Interrupted(str(place / "run"))
            try:
                worker, (kind, *words) = inbox.get(timeout=POLL)
            except Empty:
                continue
            if kind == "began":
                continue
            if kind == "epoch":
                epochs += 1
                yield Progress(f"{len(members)} runs, epochs", epochs, planned)
                continue
            name, worker.member = worker.member, ""
            if kind == "interrupted":  # by somebody else's signal
                raise Interrupted(str(place / name))
            found[name] = words[0] if kind == "done" else {"failed": words[0]}
            yield Ended(name, found[name])
            if waiting and worker.process.poll() is None:
                worker.train(waiting.popleft())
    if waiting:
        raise InputError(
            "every process that trains has died; the same words with --out go on, --engine serial without them"
        )
    return {member.name: found[member.name] for member in members}


def stop(started: Sequence[Worker]) -> None:
    """Ask each for a checkpoint and wait for it; one that is still starting has nothing to keep, and is ended."""
    for worker in started:
        if worker.member and worker.process.poll() is None:
            os.kill(worker.process.pid, signal.SIGINT if worker.heard else signal.SIGTERM)
    for worker in started:
        worker.send(None)
        worker.process.wait()
        worker.member = ""
