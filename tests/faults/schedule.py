"""Which fault comes behind which line of the world: a pure function of seed, number of faults and number of brokers.

A fault has a place in the traffic and not on a clock: however slow the machine is, a fault comes behind the same line,
while others are still published. Every kind is drawn once before any comes a second time, so that even short runs see
each of them.
"""

import random  # noqa: TID251 -- seeded
from typing import Final, Literal, get_args

import msgspec

Kind = Literal[
    "kill_worker", "term_worker", "kill_ingest", "term_ingest", "zombie_worker", "join_and_leave", "kill_broker",
    "pause_network", "full_disk", "refused_record", "poison", "rules_raise", "move_leaders",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NEEDS_THREE: Final = frozenset({"move_leaders"})
ZOMBIE_S: Final = 9.0
"""Longer than a session of 6 s: another has the partitions by the time it wakes."""
LONGEST_PAUSE_S: Final = 5.0
LINES_PER_FAULT: Final = 5_000
"""Some portions of 2,000, in which an ingest in the clock of the log appends."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is done, to whom, and when."""

    number: int
    kind: Kind
    line: int
    """Behind so many lines of the world."""
    target: int
    """The worker or the broker, by number; kinds that need neither pass it over."""
    lasts_s: float
    """How long the pause, the full disk or the refusal lasts, in seconds."""
    in_transaction: bool
    """Whether it waits for a transaction that is open."""


def schedule(seed: int, faults: int, brokers: int, workers: int, kinds: tuple[Kind, ...] = KINDS) -> list[Fault]:
    """Return the faults of a seed, in their order.

    Args:
        seed: decides everything that follows.
        faults: how many there shall be.
        brokers: 1 or 3; leaders can move among three only.
        workers: how many there are to choose from.
        kinds: those to choose from.
    """
    chance = random.Random(seed)  # noqa: S311 -- not a secret
    possible = [kind for kind in kinds if brokers > 1 or kind not in NEEDS_THREE]
    found: list[Fault] = []
    while len(found) < faults:
        for kind in chance.sample(possible, len(possible))[: faults - len(found)]:
            number = len(found)
            found.append(
                Fault(
                    number=number,
                    kind=kind,
                    line=number * LINES_PER_FAULT + chance.randrange(LINES_PER_FAULT // 4, LINES_PER_FAULT // 2),
                    target=chance.randrange(brokers if "broker" in kind or kind in _OF_BROKERS else workers),
                    lasts_s=ZOMBIE_S if kind == "zombie_worker" else round(chance.uniform(1, LONGEST_PAUSE_S), 1),
                    in_transaction=chance.random() < 0.7,
                )
            )
    return found


_OF_BROKERS: Final = frozenset({"pause_network", "full_disk", "move_leaders"})
