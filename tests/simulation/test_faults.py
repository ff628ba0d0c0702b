"""Whoever dies, freezes, comes back, joins or isn't answered, at whatever operation: what `simulate` gives, once."""

import subprocess
import sys

import pytest

from agents import engine, identity
from tests.defective import defective_decide
from tests.simulation.application import Broken
from tests.simulation.broken import BROKEN
from tests.simulation.judging import judged
from tidings.settings import process_environment

SEEDS = 150
"""Each of them twice."""
FOUND_WITHIN = 400


@pytest.mark.parametrize("start", range(0, SEEDS, 50))
def test_what_comes_out_is_what_simulate_gives_and_the_same_twice(start: int) -> None:
    """Nothing is missing, doubled or different, and a seed leads to the same, down to the order of its faults."""
    deaths = freezes = 0
    for seed in range(start, start + 50):
        verdict = judged(seed)
        assert verdict.digest() == judged(seed).digest(), f"seed {seed} went another way the second time"
        deaths += verdict.deaths
        freezes += sum("freezes" in line for line in verdict.trace)
    assert deaths > 50, "hardly anybody died"
    assert freezes > 5, "hardly anybody froze"


@pytest.mark.parametrize("start", range(0, SEEDS, 50))
def test_where_the_rules_raise_for_some_it_is_what_simulate_gives(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dies meanwhile: the same are set aside at the same records, and everybody else has all of hers."""
    for module in (engine, identity):
        monkeypatch.setattr(module, "decide", defective_decide)
    quarantined = 0
    for seed in range(start, start + 50):
        verdict = judged(seed, with_defects=True)
        quarantined += sum(b'"kind":"quarantined"' in record for record in verdict.records)
    assert quarantined > 50, "hardly anybody was set aside"


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_application_is_found_within_few_seeds(what: str) -> None:
    """Without one of its mechanisms the application fails a seed, or the simulation would prove nothing."""
    for seed in range(FOUND_WITHIN):
        try:
            judged(seed, BROKEN[what])
        except Broken:
            return
    pytest.fail(f"{FOUND_WITHIN} seeds didn't find that {what}")


def test_a_seed_is_the_same_in_every_process() -> None:
    """Also where Python hashes strings in another way: a seed that somebody reports fails for everybody."""
    found = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "7", "--digest"],
            env={**process_environment(), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
