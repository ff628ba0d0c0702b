"""Changes of a customer that a trigger can wait for: an attribute, the stage, a membership.

Whatever changes one of them notes it in the decision that is being made; the triggers that wait for such a change
are looked at where those of the event are, in one order with them.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from msgspec import Struct

from journeys.operators import same
from schemas.definitions import ANYTHING, AttributeChange, LifecycleChange, SegmentChange
from schemas.events import Json
from schemas.instants import Millis

Kind = Literal["attribute", "lifecycle", "segment"]
ENTERED: Final = "entered"
LEFT: Final = "left"


class Change(Struct, frozen=True, kw_only=True):
    """One thing that is different now."""

    kind: Kind
    name: str
    """Of the attribute or segment; empty for the stage."""
    before: Json
    after: Json
    """Of a membership `entered` or `left`."""
    caused_at: Millis | None = None
    """When the event occurred that led to it; None where no event did, but an action or time itself."""

    def detail(self) -> dict[str, Json]:
        """Return what a decision says of it."""
        match self.kind:
            case "segment":
                return {"segment_id": self.name, "change": self.after}
            case "lifecycle":
                return {"from": self.before, "to": self.after}
            case "attribute":
                return {"attribute": self.name, "from": self.before, "to": self.after}


class AwaitedChange(Struct, frozen=True, kw_only=True):
    """What a trigger waits for."""

    is_it: Callable[[Change], bool]


def compile_change(condition: SegmentChange | LifecycleChange | AttributeChange) -> AwaitedChange:
    """Compile which changes a trigger condition waits for."""
    match condition:
        case SegmentChange(segment_id=segment_id, change=change):
            return AwaitedChange(
                is_it=lambda one: one.kind == "segment" and one.name == segment_id and one.after == change
            )
        case LifecycleChange(from_=before, to=after):
            return AwaitedChange(
                is_it=lambda one: (
                    one.kind == "lifecycle" and before in {None, one.before} and after in {None, one.after}
                )
            )
        case AttributeChange():
            return AwaitedChange(is_it=_compile_attribute(condition))


def _compile_attribute(condition: AttributeChange) -> Callable[[Change], bool]:
    name, before, after = condition.attribute, condition.from_, condition.to
    name = None if name is None else name.removeprefix("attributes.")

    def wanted(one: Change) -> bool:
        is_named = one.kind == "attribute" and name in {None, one.name}
        return is_named and _is_so(before, one.before) and _is_so(after, one.after)

    return wanted


def _is_so(wanted: Json, value: Json) -> bool:
    return wanted == ANYTHING or same(value, wanted)


def membership_change(segment_id: str, *, is_member: bool, caused_at: Millis | None = None) -> Change:
    """Say that the customer entered a segment, or left it."""
    after = ENTERED if is_member else LEFT
    return Change(kind="segment", name=segment_id, before=None, after=after, caused_at=caused_at)


def stage_change(before: str, after: str, caused_at: Millis | None = None) -> Change:
    """Say that the stage is another one now."""
    return Change(kind="lifecycle", name="", before=before, after=after, caused_at=caused_at)


def attribute_changes(
    before: Mapping[str, Json], after: Mapping[str, Json], caused_at: Millis | None = None
) -> list[Change]:
    """List the attributes that differ, in the order of their names."""
    return [
        Change(kind="attribute", name=name, before=before.get(name), after=after.get(name), caused_at=caused_at)
        for name in sorted(before.keys() | after.keys())
        if not same(before.get(name), after.get(name))
    ]
