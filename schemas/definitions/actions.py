"""Actions: what a step changes, puts on the log or asks of another system."""

from msgspec import Struct

from schemas.definitions.words import Name
from schemas.events import Json


class UpdateAttributes(Struct, frozen=True, kw_only=True, tag_field="type", tag="update_attributes"):
    """Sets attributes; `${path}` in a value is resolved from customer, trigger, execution and `now`."""

    attributes: dict[str, Json]
    """Values by name; null removes; `${path}` is resolved."""


class AddToSegment(Struct, frozen=True, kw_only=True, tag_field="type", tag="add_to_segment"):
    """Makes the customer a member."""

    segment_id: Name
    """The id of a segment without a condition."""


class RemoveFromSegment(Struct, frozen=True, kw_only=True, tag_field="type", tag="remove_from_segment"):
    """Ends the membership."""

    segment_id: Name
    """The id of a segment without a condition."""


class Exit(Struct, frozen=True, kw_only=True, tag_field="type", tag="exit"):
    """Ends the execution (reason `exit`)."""


class SendEvent(Struct, frozen=True, kw_only=True, tag_field="type", tag="send_event"):
    """Puts an event on the customer's log; `${path}` in its properties is resolved."""

    event_type: Name
    """The type of the event, one that only the world can say excepted."""
    properties: dict[str, Json] = {}
    """Its properties; `${path}` is resolved."""


class TriggerWebhook(Struct, frozen=True, kw_only=True, tag_field="type", tag="trigger_webhook"):
    """Asks another system; `customer_id`, `execution_id` and `workflow_id` are added to the payload.

    `${path}` is resolved in payload and headers, and behind the host of the address. `await_response` waits for the
    answer, whose status is `execution.responses.<step id>`; a status of 400 and above, or none in time, is an error.
    """

    webhook_url: Name
    """The address that is called: http or https, `${path}` behind its host alone."""
    payload: dict[str, Json] = {}
    """The JSON body, to which `customer_id`, `execution_id` and `workflow_id` are added."""
    headers: dict[str, str] = {}
    """Headers of the call, by name."""
    await_response: bool = False
    """Whether the step waits for the answer; a failure is then the step's."""


ActionConfiguration = UpdateAttributes | AddToSegment | RemoveFromSegment | Exit | SendEvent | TriggerWebhook
