"""What the agents count, for whoever watches: events, decisions, sends, refusals, and who waits.

Agents count into plain dictionaries, a step of some 50 ns for each decision and none for an event; once a transaction
these are added to those of the process, and every few seconds (`Vitals.note`) to Prometheus' counters, when the
partitions in our hands are looked at. So what a failed transaction would have written is counted by whoever folds it
again, once. What rules count beside their decisions (`Unrecorded`) is of no partition, and counted as it is decided.
"""

import math
from collections import Counter as Counts
from collections.abc import Iterable

import prometheus_client
from msgspec import Struct, field
from prometheus_client import CollectorRegistry, Gauge

from journeys.unrecorded import Unrecorded
from schemas.decisions import Decision, Effect, Send
from schemas.instants import Millis


class Counted(Struct):
    """Counts since they were last taken: of one fold until it commits, or of a process, kept when a fold goes."""

    events: int = 0
    passed_over: int = 0
    """Records whose source had been seen: an ingest that was killed appended them again."""
    decisions: Counts[tuple[str, str]] = field(default_factory=Counts)
    """By kind and reason."""
    sends: Counts[tuple[str, str]] = field(default_factory=Counts)
    """By channel and workflow."""
    webhook_calls: Counts[str] = field(default_factory=Counts)
    """By workflow."""
    unrecorded: set[Unrecorded] = field(default_factory=set)
    """Where the rules count what they don't record: of each version that a fold has worked by."""

    def add(self, effects: Iterable[Effect]) -> None:
        """Count effects."""
        for effect in effects:
            if isinstance(effect, Decision):
                self.decisions[effect.kind, effect.reason or ""] += 1
            elif isinstance(effect, Send):
                self.sends[effect.channel, effect.workflow_id] += 1
            else:
                self.webhook_calls[effect.workflow_id] += 1

    def add_up(self, other: "Counted") -> None:
        """Count what another has counted; whose rules counted what isn't recorded is nothing that is added up."""
        self.events += other.events
        self.passed_over += other.passed_over
        # In place: adding would look at every count of the process for each transaction.
        self.decisions.update(other.decisions)
        self.sends.update(other.sends)
        self.webhook_calls.update(other.webhook_calls)

    def begin_anew(self) -> None:
        """Forget what was counted, as it has been taken; the versions stay."""
        self.events = self.passed_over = 0
        self.decisions, self.sends, self.webhook_calls = Counts(), Counts(), Counts()


class Waits(Struct, frozen=True, kw_only=True):
    """Who waits in one partition, and for what, at one moment."""

    customers: int
    """Those who are stored."""
    timers: int
    """Customers of whom something is due at some time."""
    overdue: int
    """Customers of whom something was due longer ago than it may take; bounded, so that counting is."""
    soonest: Millis | None
    """When anybody is due next; None for never."""
    held: int
    """Customers whose records wait, for a merge or for a place."""
    held_records: int
    quarantined: int
    """Customers for whom the rules raised."""
    catalogue: int
    """The version in force; 0 for none."""


class WorkerCounters:
    """The counts of a worker's agents, over all of its partitions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Begin at zero."""

        def counter(name: str, text: str, *labels: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(f"tidings_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"tidings_{name}", text, registry=registry)

        self._events = counter("events", "Events of customers that came to a decision.")
        self._repeated = counter("events_repeated", "Events dropped because they had come before.", "by")
        self._decisions = counter("decisions", "Decisions that were recorded.", "kind", "reason")
        self._refusals = counter("refusals", "Firings that started nothing, also those that aren't recorded.", "reason")
        self._sends = counter("sends", "Messages published.", "channel", "workflow")
        self._webhook_calls = counter("webhook_calls", "Webhook calls published.", "workflow")
        self._customers = gauge("customers", "Customers known.")
        self._timers = gauge("timers_due", "Customers of whom something falls due at some time.")
        self._overdue = gauge("timers_overdue", "Customers of whom something was due over a minute ago.")
        self._delay = gauge("timers_delay_seconds", "How long ago the timer that waits longest was due.")
        self._behind = gauge("time_behind_seconds", "How far behind our clock time may come: what the ingest has read.")
        self._apart = gauge("clock_ahead_seconds", "How far our clock is ahead of the broker's; behind: negative.")
        self._held = gauge("customers_held", "Customers whose records wait for a merge or a place.")
        self._held_records = gauge("customers_held_records", "Records that wait so.")
        self._quarantined = gauge("customers_quarantined", "Customers for whom the rules raised, until released.")
        for unknown in (self._behind, self._apart):
            unknown.set(math.nan)
        self._catalogue = gauge("catalogue_version", "The least version in force in a partition of this process.")

    def take(self, counted: Counted) -> None:
        """Add what the folds have counted, which begin anew."""
        self._events.inc(counted.events)
        self._repeated.labels("source").inc(counted.passed_over)
        for (kind, reason), count in counted.decisions.items():
            self._decisions.labels(kind, reason).inc(count)
            if kind == "trigger_refused":
                self._refusals.labels(reason).inc(count)
        for (channel, workflow), count in counted.sends.items():
            self._sends.labels(channel, workflow).inc(count)
        for workflow, count in counted.webhook_calls.items():
            self._webhook_calls.labels(workflow).inc(count)
        counted.begin_anew()
        for unrecorded in counted.unrecorded:
            self._take_unrecorded(unrecorded.take())

    def _take_unrecorded(self, unrecorded: Unrecorded) -> None:
        self._repeated.labels("event_id").inc(unrecorded.repeats)
        for reason, count in unrecorded.refusals.items():
            self._refusals.labels(reason).inc(count)

    def show(self, waits: list[Waits], now: Millis | None) -> None:
        """Show who waits, in all partitions together.

        Args:
            waits: of each partition.
            now: the clock, epoch milliseconds; None in the clock of the log, where nothing is late.
        """
        self._customers.set(sum(one.customers for one in waits))
        self._timers.set(sum(one.timers for one in waits))
        self._held.set(sum(one.held for one in waits))
        self._held_records.set(sum(one.held_records for one in waits))
        self._quarantined.set(sum(one.quarantined for one in waits))
        self._catalogue.set(min((one.catalogue for one in waits), default=0))
        soonest = min((one.soonest for one in waits if one.soonest is not None), default=None)
        is_late = now is not None and soonest is not None and soonest < now
        self._delay.set((now - soonest) / 1000 if is_late and now is not None and soonest is not None else 0.0)
        self._overdue.set(0 if now is None else sum(one.overdue for one in waits))

    def show_time(self, now: Millis, read_to: Millis | None, apart_ms: Millis | None) -> None:
        """Show what keeps time from coming to the clock; what isn't known yet isn't shown.

        Args:
            now: the clock, epoch milliseconds.
            read_to: up to when everything that was published is in the log.
            apart_ms: by how much the clock is ahead of the broker's.
        """
        if read_to is not None:
            self._behind.set(max(0, now - read_to) / 1000)
        if apart_ms is not None:
            self._apart.set(apart_ms / 1000)


class IngestCounters:
    """The counts of an ingest."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Begin at zero."""
        self._dead_letters = prometheus_client.Counter(
            "tidings_dead_letters", "Public records that are no events.", ["error_class"], registry=registry
        )

    def dead_letter(self, error_class: str) -> None:
        """Count a dead letter; they are few."""
        self._dead_letters.labels(error_class).inc()
