"""Tasks in processes of their own: all of them are done, and what is wrong is told in words."""

import pytest

from schemas.errors import TidingsError
from streams.hard_stop import RefusedToStart
from tidings.side_by_side import Tell, side_by_side


def doubled(task: int, tell: Tell) -> int:
    tell(task)
    if task == 13:
        raise TidingsError("thirteen isn't doubled")
    if task == 14:
        raise RefusedToStart("update this program")
    return 2 * task


def test_every_task_is_done_once() -> None:
    """More tasks than processes, in any order."""
    done = side_by_side(doubled, range(5), 2, lambda _far: None)
    assert sorted(done) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(("task", "words"), [(13, "thirteen isn't doubled"), (14, "update this program")])
def test_what_is_wrong_in_a_process_is_told_in_words(task: int, words: str) -> None:
    with pytest.raises(TidingsError, match=words):
        list(side_by_side(doubled, [1, task], 2, lambda _far: None))
