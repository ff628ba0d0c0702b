"""What a worker counts: everything that came and was decided, also what isn't recorded."""

from prometheus_client import CollectorRegistry

from agents.counting import Counted, IngestCounters, WorkerCounters
from schemas.instants import HOUR_MS
from tests.journey import START, mail, wait, workflow
from tests.live_log import Log

ONCE = workflow(wait("p", "mail", duration_hours=1), mail())


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"tidings_{name}", labels)


def counted(log: Log) -> CollectorRegistry:
    """Return what was counted of a log that is folded once."""
    registry = CollectorRegistry()
    counters, fold = WorkerCounters(registry), log.fold_all()
    fold.committed()
    counters.take(fold.counted)
    counters.show([fold.waits(START + 3 * HOUR_MS)], START + 4 * HOUR_MS)
    return registry


def test_events_decisions_and_sends_are_counted_by_kind() -> None:
    log = Log(ONCE)
    log.publish("signup", 0)
    log.tick(2 * HOUR_MS)
    registry = counted(log)
    assert sample(registry, "events_total") == 1
    assert sample(registry, "decisions_total", kind="trigger_fired", reason="") == 1
    assert sample(registry, "decisions_total", kind="execution_ended", reason="completed") == 1
    assert sample(registry, "sends_total", channel="email", workflow="w") == 1
    assert sample(registry, "catalogue_version") == 1


def test_what_is_not_committed_is_not_counted() -> None:
    """A transaction that fails takes the fold with it; what another folds again in its place is counted once."""
    log, shared = Log(ONCE), Counted()
    log.publish("signup", 0)
    log.publish("signup", HOUR_MS, customer="bea")
    log.tick(2 * HOUR_MS)
    log.records.append(log.records[1])
    log.fold_into(log.empty_fold(shared), log.records)
    assert shared == Counted(unrecorded=shared.unrecorded)
    fold = log.empty_fold(shared)
    log.fold_into(fold, log.records)
    fold.committed()
    assert (shared.events, shared.decisions["trigger_fired", ""], shared.sends["email", "w"]) == (3, 2, 2)
    fold.committed()
    assert shared.events == 3


def test_a_refusal_is_counted_each_time_though_it_is_recorded_once_a_day() -> None:
    log = Log(ONCE)
    for minute in range(5):
        log.publish("signup", minute)
    registry = counted(log)
    assert sample(registry, "decisions_total", kind="trigger_refused", reason="already_active") == 1
    assert sample(registry, "refusals_total", reason="already_active") == 4


def test_a_repeated_event_is_counted_as_such() -> None:
    log = Log(ONCE)
    log.publish("signup", 0)
    log.records.append(log.records[-1])
    registry = counted(log)
    assert sample(registry, "events_total") == 2
    assert sample(registry, "events_repeated_total", by="event_id") == 1
    assert sample(registry, "refusals_total", reason="already_active") is None


def test_who_is_due_and_who_is_overdue() -> None:
    """Nobody has fired what was due an hour after the signup; it is three hours late, and a minute is allowed."""
    log = Log(ONCE)
    log.publish("signup", 0)
    log.publish("signup", 3 * HOUR_MS, customer="bea")
    registry = counted(log)
    assert sample(registry, "timers_due") == 2
    assert sample(registry, "timers_overdue") == 1
    assert sample(registry, "timers_delay_seconds") == 3 * HOUR_MS / 1000


def test_dead_letters_are_counted_by_their_class() -> None:
    registry = CollectorRegistry()
    IngestCounters(registry).dead_letter("invalid_json")
    assert sample(registry, "dead_letters_total", error_class="invalid_json") == 1
