"""What is shown of a worker's partitions, while they come and go."""

from faust.types import TP
from prometheus_client import CollectorRegistry

from agents.counting import WorkerCounters
from agents.customers import CustomerFold
from schemas.instants import HOUR_MS
from tests.journey import START, mail, wait, workflow
from tests.live_log import Log, Taken
from tidings.in_hand import FoldsInHand

OURS = frozenset({TP("t.customer-log", 0)})


def commit(log: Log, fold: CustomerFold, records: list[Taken]) -> None:
    log.fold_into(fold, records)
    fold.committed()


def test_what_a_partition_counted_is_shown_also_where_it_was_given_back_before_the_next_look() -> None:
    log = Log(workflow(wait("p", "mail", duration_hours=1), mail()))
    for minute in range(3):
        log.publish("signup", minute)
    log.records.append(log.records[-1])
    registry = CollectorRegistry()
    folds = FoldsInHand(log.empty_fold, WorkerCounters(registry), lambda: START + HOUR_MS, None)

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"tidings_{name}_total", labels)

    commit(log, folds.make(0), log.records)
    # Nobody holds that fold any more, as after a rebalance.
    for owned in (frozenset[TP](), OURS):
        folds.note(owned)
        assert shown("events") == 4
        assert shown("decisions", kind="trigger_fired", reason="") == 1
        assert shown("refusals", reason="already_active") == 2
        assert shown("events_repeated", by="event_id") == 1
    commit(log, folds.make(0), log.records[:2])
    folds.note(OURS)
    assert shown("events") == 5
