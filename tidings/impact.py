"""What an edit would do to the customers who are under way: who stands where, who moves, who ends.

The same rules decide as when the edit is applied (`journeys/migrating.py`); here they are only asked.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from agents.engine import Engine
from journeys.catalogue import Catalogue, CompiledWorkflow
from journeys.migrating import fate
from schemas.customer import Customer, Execution
from schemas.decisions import Send
from schemas.instants import Millis
from tables.customers import CustomersTable


class Touched(Struct, frozen=True, kw_only=True):
    """One branch of an execution of a workflow that the edit changes, and what would become of it."""

    customer_id: str
    execution_id: str
    workflow_id: str
    version: int
    step_id: str
    outcome: str


class Group(Struct, frozen=True, kw_only=True, order=True):
    """Branches that share workflow, version, step and fate."""

    workflow_id: str
    version: int
    step_id: str
    outcome: str


def edited_workflows(catalogue: Catalogue) -> frozenset[str]:
    """Return the workflows that a catalogue has otherwise than the one before it, or not any more."""
    numbers = [number for number in catalogue.predecessors if number < catalogue.number]
    before = catalogue.predecessors[max(numbers)].workflows if numbers else {}
    return frozenset(
        workflow_id for workflow_id, workflow in before.items() if not _is_same(workflow, catalogue.workflows)
    )


def _is_same(workflow: CompiledWorkflow, after: Mapping[str, CompiledWorkflow]) -> bool:
    other = after.get(workflow.id)
    return other is not None and other.definition == workflow.definition


def touched(customers: Iterable[Customer], catalogue: Catalogue) -> Iterator[Touched]:
    """Yield what would become of everybody under way in an edited workflow, branch by branch.

    Args:
        customers: as they stand.
        catalogue: as it would be in force, with its predecessors and how it is to be applied.
    """
    edited = edited_workflows(catalogue)
    for customer in customers:
        for execution in customer.executions:
            if execution.workflow_id in edited:
                yield from _branches(customer, execution, catalogue)


def _branches(customer: Customer, execution: Execution, catalogue: Catalogue) -> Iterator[Touched]:
    old = catalogue.workflow(execution.workflow_id, execution.version, execution.override)
    new = catalogue.workflow(execution.workflow_id, catalogue.number, execution.override)
    for visit in execution.branches:
        outcome = f"stays on version {execution.version}"
        if catalogue.editing.mode == "migrate" and old is not None:
            one = fate(catalogue.editing, old, new, visit.step_id)
            is_elsewhere = one.step_id is not None and one.step_id != visit.step_id
            outcome = f"{one.what} in {one.step_id}" if is_elsewhere else one.what
        yield Touched(
            customer_id=customer.customer_id,
            execution_id=execution.execution_id,
            workflow_id=execution.workflow_id,
            version=execution.version,
            step_id=visit.step_id,
            outcome=outcome,
        )


def grouped(found: Iterable[Touched]) -> list[tuple[Group, int]]:
    """Count by workflow, version, step and fate."""
    counts = Counter(
        Group(workflow_id=one.workflow_id, version=one.version, step_id=one.step_id, outcome=one.outcome)
        for one in found
    )
    return sorted(counts.items())


def mailed_within(
    states: Mapping[bytes, bytes], before: Catalogue | None, after: Catalogue, now: Millis, horizon_ms: Millis
) -> int:
    """Count the customers who would get a message within a time after the change, if nobody did anything.

    Args:
        states: of all customers, by key, as they are stored.
        before: the catalogue in force; None where there is none.
        after: the one to be applied.
        now: when it would be.
        horizon_ms: how far to look.
    """
    table = CustomersTable()
    for key, value in states.items():
        table.restore(key, value)
    table.index()
    engine = Engine(table, before)
    mailed: set[str] = set()
    for outcomes in (engine.take_over(after, now), engine.fire(now + horizon_ms)):
        for outcome in outcomes:
            if outcome is not None and any(isinstance(effect, Send) for effect in outcome.effects):
                mailed.add(outcome.customer_id)
    return len(mailed)
