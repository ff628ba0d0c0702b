"""Execution keys: executions of one workflow side by side, one for each value of a field of the event.

The key is the value as text, so that an order is the same one whether a producer writes its number with quotes or
without. Per customer 200 keys are known; beyond that the key whose execution ended first is forgotten, and an event
with it would count as the first one.
"""

from typing import Final

from journeys.fields import Field, plain
from journeys.scene import Scene
from schemas.customer import Customer
from schemas.events import MAX_ID_CHARACTERS
from schemas.identity import execution_id

MAX_KEYS: Final = 200
SEPARATOR: Final = "\x1f"
"""Stands in no id of a definition, so that no name is read as another one."""


def read_key(field: Field, scene: Scene) -> str | None:
    """Return the key of the present event; None if it has none, or nothing that can be one, or there is no event."""
    value = plain(field(scene))
    match value:
        case bool():
            text = "true" if value else "false"
        case int() | str():
            text = str(value)
        case float():
            text = str(int(value)) if value.is_integer() else str(value)
        case _:
            return None
    return text if 0 < len(text) <= MAX_ID_CHARACTERS else None


def name_of(workflow_id: str, key: str | None) -> str:
    """Return under which name a customer's state remembers executions of a workflow with this key."""
    return workflow_id if key is None else f"{workflow_id}{SEPARATOR}{key}"


def identity_of(customer_id: str, workflow_id: str, trigger_id: str, cause: str, key: str | None) -> str:
    """Return the id of the execution that `cause` starts; several keys may be due at one instant."""
    return execution_id(customer_id, workflow_id, trigger_id, name_of(cause, key))


def forget_oldest(customer: Customer, workflow_id: str, key: str) -> tuple[str, str] | None:
    """Make room for a key, if it is new and there are too many.

    Returns:
        The workflow and key that were forgotten; None if there was room.
    """
    active = {name_of(one.workflow_id, one.key) for one in customer.executions if one.key is not None}
    known = active.union(name for name in customer.ended if SEPARATOR in name)
    if len(known) < MAX_KEYS or name_of(workflow_id, key) in known:
        return None
    # The order of `ended` is that of the ends, for names with a key.
    # There is one: fewer executions run than keys are known, or none would be started.
    oldest = next(name for name in customer.ended if SEPARATOR in name and name not in active)
    del customer.ended[oldest]
    forgotten_workflow, _, forgotten_key = oldest.partition(SEPARATOR)
    return forgotten_workflow, forgotten_key
