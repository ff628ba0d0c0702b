"""A process that makes no progress says so at the limit, and ends a little later; by notes, and by their absence."""

import subprocess
import sys

import pytest
from faust.types import TP

from streams.hard_stop import STOPPED_HARD
from streams.meters import Place
from streams.vitals import END_AFTER_S, Vitals

BLOCKED = """
import logging, sys
from streams.vitals import Vitals
logging.basicConfig(stream=sys.stderr)
def a_rule_without_end():
    while True:
        pass
vitals = Vitals(limit_s=0.2, end_after_s=0.2)
vitals.watch()
a_rule_without_end()
"""


def noted(stuck_s: float, silent_s: float = 0.0) -> tuple[Vitals, list[str]]:
    """Return vitals that were looked at once, and why they ended the process."""
    ended: list[str] = []
    vitals = Vitals(limit_s=30.0, stop=ended.append)
    vitals.note({}, 0, stuck_s, "a batch isn't finished")
    vitals.judge(silent_s)
    return vitals, ended


@pytest.mark.parametrize(("stuck_s", "silent_s"), [(0.0, 0.0), (30.0, 0.0), (0.0, 30.0), (10.0, 20.0)])
def test_up_to_the_limit_it_lives(stuck_s: float, silent_s: float) -> None:
    vitals, ended = noted(stuck_s, silent_s)
    assert vitals.stuck is None
    assert not ended


@pytest.mark.parametrize(("stuck_s", "silent_s"), [(30.1, 0.0), (0.0, 30.1), (30.0 + END_AFTER_S, 0.0)])
def test_beyond_the_limit_it_says_so_and_goes_on_for_a_while(stuck_s: float, silent_s: float) -> None:
    vitals, ended = noted(stuck_s, silent_s)
    assert vitals.stuck is not None
    assert ("the loop doesn't come round" if silent_s else "a batch isn't finished") in vitals.stuck
    assert not ended


@pytest.mark.parametrize(("stuck_s", "silent_s"), [(30.1 + END_AFTER_S, 0.0), (0.0, 30.1 + END_AFTER_S)])
def test_a_while_behind_the_limit_it_ends(stuck_s: float, silent_s: float) -> None:
    vitals, ended = noted(stuck_s, silent_s)
    assert ended == [vitals.stuck]


def test_who_goes_on_lives_again() -> None:
    vitals, ended = noted(31.0)
    vitals.note({}, 0, 0.0, "")
    vitals.judge(0.0)
    assert vitals.stuck is None
    assert not ended


def test_who_is_stopping_is_not_ended() -> None:
    """A clean stop has a deadline of its own."""
    vitals, ended = noted(0.0)
    vitals.end()
    vitals.judge(100.0)
    assert not ended


def test_the_state_follows_what_the_desk_says() -> None:
    vitals, tp = Vitals(), TP("log", 0)
    states = []
    for recovering in (None, 2, 0):
        vitals.note({tp: Place(5)}, recovering, 0.0, "")
        states.append(vitals.state)
    assert states == ["joining", "recovering", "working"]
    vitals.end()
    vitals.note({}, 0, 0.0, "")
    assert vitals.state == "stopping"


def test_nothing_is_said_of_a_partition_that_was_given_back() -> None:
    vitals, tp = Vitals(), TP("log", 0)
    vitals.note({tp: Place(5)}, 0, 0.0, "")
    vitals.meters.lag_records.labels("log", 0).set(7)
    labels = {"topic": "log", "partition": "0"}
    assert vitals.meters.registry.get_sample_value("tidings_lag_records", labels) == 7
    vitals.note({}, 0, 0.0, "")
    assert vitals.meters.registry.get_sample_value("tidings_lag_records", labels) is None


def test_a_loop_that_never_comes_round_ends_its_process_and_says_where_it_was() -> None:
    """Nobody can ask the loop itself, so another thread ends it, with the code after which it is started again."""
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == STOPPED_HARD
    assert "in a_rule_without_end" in done.stderr
