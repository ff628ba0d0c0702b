"""Which parts of a customer a condition reads: it is looked at again when one of them moves, and then only."""

import pytest

from journeys.reads import reads
from schemas.definitions import Comparison
from schemas.events import Json
from tests.journey import Journey, is_, segment


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("customer.attributes.plan", "plan"),
        ("customer.counts.page_viewed", "counts.page_viewed"),
        ("customer.session.pages", "session.pages"),
        ("customer.preferences.timezone", "preferences.timezone"),
    ],
)
def test_a_path_through_the_customer_reads_what_the_path_alone_does(path: str, other: str) -> None:
    def read(field: str) -> frozenset[str]:
        return reads(Comparison(field=field, operator="exists"))

    assert read(other) <= read(path)


@pytest.mark.parametrize("field", ["event.total", "trigger.total", "execution.key"])
def test_what_is_no_part_of_the_customer_is_read_by_no_segment(field: str) -> None:
    """Outside of an event and an execution these are missing, whatever happens."""
    assert not [name for name in reads(Comparison(field=field, operator="exists")) if "total" in name or "key" in name]


@pytest.mark.parametrize(
    ("condition", "properties", "member"),
    [
        (is_("customer.attributes.plan", "eq", "pro"), {"attributes": {"plan": "pro"}}, True),
        (is_("customer.attributes.plan", "eq", "pro"), {"attributes": {"plan": "free"}}, False),
        (is_("customer.preferences.timezone", "exists"), {"preferences": {"timezone": "Europe/Rome"}}, True),
    ],
)
def test_a_segment_follows_a_path_through_the_customer(
    condition: Json,
    properties: dict[str, Json],
    member: bool,  # noqa: FBT001
) -> None:
    journey = Journey(segment("s", condition))
    journey.publish("page_viewed")
    journey.publish("customer_updated", 1, envelope={"properties": properties})
    assert ("s" in journey.customer().segments) is member
