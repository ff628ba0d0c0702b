"""A decision in the making: the customer, the input's time and cause, and what has been decided so far."""

from collections import deque
from typing import Final

import msgspec
from msgspec import Struct, field

from journeys.catalogue import Catalogue, CompiledWorkflow
from journeys.changes import Change
from journeys.scene import Scene
from schemas.customer import Customer, Execution
from schemas.decisions import Decision, Effect, Kind, Send, WebhookCall
from schemas.events import Event, Json
from schemas.identity import decision_id, decision_series, state_hash
from schemas.instants import Millis, format_instant

_encoder: Final = msgspec.msgpack.Encoder()
MAX_CHAIN: Final = 10
"""How deep events that workflows send can follow from one another within a decision."""
MAX_EMITTED: Final = 200
"""How many such events one decision applies; a chain whose links start several workflows each grows by powers."""


class Turn(Struct, kw_only=True, eq=False):
    """What one call of `decide` works on; `cause` is the event's id, or the instant of the timer."""

    customer: Customer
    catalogue: Catalogue
    now: Millis
    cause: str
    scene: Scene
    effects: list[Effect] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    """Workflows that this input has started already, each with its key."""
    emitted: deque[tuple[int, Event]] | None = None
    """Events that workflows sent, with their depth in the chain, to be applied after what is being decided."""
    depth: int = 0
    emissions: int = 0
    changes: list[Change] = []
    """What changed about the customer that triggers can wait for, until they have been looked at."""
    overdue_since: Millis | None = None
    """While a branch moves that couldn't when it was due: its instant."""
    until: Millis | None = None
    """The instant that time has come to, where that may lie before now."""
    is_release: bool = False
    """Whether an execution has just been resumed, and what is overdue was held by its pause."""
    state_hash: str | None = None
    at: str = ""
    """`now` as text, once it is needed."""
    series: str = ""
    """What the ids of this turn's decisions have in common, once it is needed."""

    @property
    def due_until(self) -> Millis:
        """The instant up to which timers fire."""
        return self.now if self.until is None else self.until

    def record(
        self,
        kind: Kind,
        *,
        reason: str | None = None,
        execution: Execution | None = None,
        workflow: CompiledWorkflow | None = None,
        step_id: str | None = None,
        trigger_id: str | None = None,
        detail: dict[str, Json] | None = None,
    ) -> None:
        """Record one choice; what the rules warned of since the last one goes into its detail."""
        if self.state_hash is None:
            self.state_hash = state_hash(_encoder.encode(self.customer))
            self.at = format_instant(self.now)
            self.series = decision_series(self.customer.hashed_as or self.customer.customer_id, self.now, self.cause)
        if self.scene.warnings:
            detail = {**(detail or {}), "warnings": list(self.scene.warnings)}
            self.scene.warnings.clear()
        workflow_id, version = (None, None) if workflow is None else (workflow.id, workflow.version)
        if execution is not None:
            workflow_id, version = execution.workflow_id, execution.version
        self.effects.append(
            Decision(
                decision_id=decision_id(self.series, len(self.effects)),
                customer_id=self.customer.customer_id,
                at=self.at,
                kind=kind,
                workflow_id=workflow_id,
                workflow_version=version,
                execution_id=None if execution is None else execution.execution_id,
                step_id=step_id,
                trigger_id=trigger_id,
                reason=reason,
                detail=detail,
                state_hash=self.state_hash,
            )
        )

    def emit(self, event: Event) -> bool:
        """Put an event on the customer's log, behind the effects of its cause; return False beyond the bounds."""
        if self.depth >= MAX_CHAIN or self.emissions >= MAX_EMITTED:
            return False
        if self.emitted is None:
            self.emitted = deque()
        self.emissions += 1
        self.emitted.append((self.depth + 1, event))
        return True

    def next_emitted(self) -> Event | None:
        """Turn to the next event that a workflow sent, as the cause of what follows; None when all are applied."""
        if not self.emitted:
            return None
        self.depth, event = self.emitted.popleft()
        self.cause = event.event_id
        self.started = set()
        self.scene.event, self.scene.execution = event, None
        return event

    def note(self, change: Change) -> None:
        """Note a change for the triggers that wait for such."""
        if self.catalogue.changes:
            self.changes.append(change)

    def publish(self, effect: Send | WebhookCall) -> None:
        """Put a message or a call out."""
        self.effects.append(effect)
