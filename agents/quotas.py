"""Who grants places: each trigger with `max_executions` has a key of its own in the log, whose owner counts.

    log of a customer                     log of q:workflow/trigger
      a firing would start: she asks  ->    ask
    grant                             <-    counts, and answers
      the execution starts, or is refused

The answer comes for sure, and exactly once: question, count and answer each stand in the transaction that folds the
record before. Meanwhile the customer's records wait, as they do in a merge. Places are given in the order in which the
questions stand in the log, so who gets the last one depends on how fast partitions are worked on.
"""

from typing import TYPE_CHECKING, Final

from agents.outcomes import Letter
from schemas.customer import Customer, Pending
from schemas.linking import Ask, Grant
from schemas.waiting import Held

if TYPE_CHECKING:
    from agents.engine import Engine

QUOTA_PREFIX: Final = b"q:"
"""Before the trigger's key, in the log and in the changelog."""
GRANT_PLACE: Final = 1 << 18
"""Where the places of what a grant leads to begin on a line, for each link of a chain."""
_SEPARATOR: Final = "\x1f"


def ask(engine: "Engine", key: bytes, customer: Customer, *, by_event: bool, sequence: bytes | None) -> None:
    """Ask for the places that a customer's firings wait for; from here on her records wait.

    Args:
        engine: the customer's.
        key: the customer's.
        customer: as the decision left her.
        by_event: whether a record led to it, and not time.
        sequence: of that record.
    """
    waiting = engine.waiting.at(key)
    for pending in customer.pending:
        name = name_of(pending)
        if name not in waiting.asked:
            waiting.asked.append(name)
            question = Ask(of=key.decode(), ask_id=name, most=pending.most, by_event=by_event)
            quota = QUOTA_PREFIX + pending.trigger.encode()
            engine.letters.append(Letter(key=quota, link=question, value=b"", at=customer.now, sequence=sequence))
    engine.waiting.touch(key)


def name_of(pending: Pending) -> str:
    """Return by which name a question is known, among those of its customer."""
    return _SEPARATOR.join((str(pending.depth), pending.trigger, pending.cause, pending.key or ""))


def answer(engine: "Engine", key: bytes, question: Ask, record: Held) -> None:
    """Count a place, if one is left, and tell who asked."""
    granted = engine.quotas.take(key, question.most)
    link = Grant(ask_id=question.ask_id, granted=granted, by_event=question.by_event)
    engine.letters.append(
        Letter(key=question.of.encode(), link=link, value=b"", at=record.at, sequence=record.sequence)
    )


def hear(engine: "Engine", key: bytes, customer: Customer, grant: Grant) -> bool:
    """Take an answer; tell whether every answer is there now, and noted with what waits for it."""
    waiting = engine.waiting.entries.get(key)
    if waiting is None or grant.ask_id not in waiting.asked:
        return False
    waiting.granted[grant.ask_id] = grant.granted
    engine.waiting.touch(key)
    if len(waiting.granted) < len(waiting.asked):
        return False
    for pending in customer.pending:
        pending.granted = waiting.granted[name_of(pending)]
    waiting.asked, waiting.granted = [], {}
    engine.waiting.touch(key)
    return True


def give_up(engine: "Engine", key: bytes, customer: Customer) -> list[str]:
    """Wait no longer; nothing starts. Return the triggers that had fired; a place that is granted later is lost."""
    waiting = engine.waiting.at(key)
    given_up = [pending.trigger for pending in customer.pending]
    customer.pending = []
    waiting.asked, waiting.granted = [], {}
    return given_up
