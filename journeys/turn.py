"""A decision in the making: the customer, the input's time and cause, and what has been decided so far."""

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct, field

from journeys.catalogue import Catalogue, CompiledWorkflow
from journeys.scene import Scene
from schemas.customer import Customer, Execution
from schemas.decisions import Decision, Effect, Kind, Send
from schemas.events import Json
from schemas.identity import decision_id, decision_series
from schemas.instants import Millis, format_instant

_encoder: Final = msgspec.msgpack.Encoder()


class Turn(Struct, kw_only=True, eq=False):
    """What one call of `decide` works on; `cause` is the event's id, or the instant of the timer."""

    customer: Customer
    catalogue: Catalogue
    now: Millis
    cause: str
    scene: Scene
    effects: list[Effect] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    """Workflows that this input has started already."""
    entered: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often each execution entered each step within this instant."""
    state_hash: str | None = None
    at: str = ""
    """`now` as text, once it is needed."""
    series: str = ""
    """What the ids of this turn's decisions have in common, once it is needed."""

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
            self.state_hash = blake2b(_encoder.encode(self.customer), digest_size=8).hexdigest()
            self.at = format_instant(self.now)
            self.series = decision_series(self.customer.customer_id, self.now, self.cause)
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

    def publish(self, send: Send) -> None:
        """Put a message out."""
        self.effects.append(send)
