"""Work in several processes: each task in one of them, its progress in numbers, what is wrong in words."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_longlong
from typing import Final, TypeVar

from confluent_kafka import KafkaException
from msgspec import Struct

from schemas.errors import TidingsError
from streams.collecting import collect_seldom
from streams.hard_stop import RefusedToStart

LOOK_EVERY_S: Final = 0.2
_done = multiprocessing.get_context("spawn").Array(c_longlong, 0)
"""In a process of its own, how far each task has come."""

Task = TypeVar("Task")
Result = TypeVar("Result")
Tell = Callable[[int], object]
"""Is told how far a task has come."""


class _Failed(Struct, frozen=True):
    """What is wrong in the world, for exceptions may not travel."""

    words: str


def side_by_side(
    work: Callable[[Task, Tell], Result], tasks: Sequence[Task], at_once: int, progress: Callable[[int], object]
) -> Iterator[Result]:
    """Yield what comes of tasks, in the order in which they are done.

    Args:
        work: does one of them; a function of a module, which processes of their own import.
        tasks: they must travel between processes, as what comes of them must.
        at_once: how many processes there are.
        progress: is called with how far all tasks have come, in sum.

    Raises:
        TidingsError: a task failed in the world; the others are given up.
    """
    context = multiprocessing.get_context("spawn")
    done = context.Array(c_longlong, len(tasks))
    with context.Pool(at_once, _begin, (done,)) as pool:
        answers = pool.imap_unordered(_do, [(place, work, task) for place, task in enumerate(tasks)])
        left = len(tasks)
        while left:
            try:
                answer = answers.next(LOOK_EVERY_S)
            except multiprocessing.TimeoutError:
                progress(sum(done.get_obj()))
                continue
            if isinstance(answer, _Failed):
                raise TidingsError(answer.words)
            left -= 1
            yield answer


def _begin(done: "multiprocessing.sharedctypes.SynchronizedArray[int]") -> None:
    global _done  # noqa: PLW0603 -- what a pool's process is given when it begins has no other place
    _done = done
    collect_seldom()
    # Whoever started us is interrupted as well, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _do(given: tuple[int, Callable[[Task, Tell], Result], Task]) -> Result | _Failed:
    place, work, task = given

    def tell(far: int) -> None:
        _done[place] = far

    try:
        return work(task, tell)
    except (TidingsError, RefusedToStart) as error:
        return _Failed(str(error))
    except KafkaException as error:
        return _Failed(f"Kafka refused or doesn't answer: {error.args[0].str()}")
