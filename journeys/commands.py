"""What a command holds back, and for how long.

Commands stand in the customer log like everything else. One that concerns a single execution is kept in it
(`paused_at`). One that concerns everybody's (all, a workflow, a channel) is kept once per partition, as `Holds`, which
are part of what is in force like the catalogue itself; so a stop costs nothing per customer.

What is held keeps its place and its instants. Waiting time goes on; when it is released, what fell due meanwhile is due
at that moment, in the order of its instants.
"""

from msgspec.structs import replace

from schemas.customer import NO_DEADLINE, Execution, Visit
from schemas.instants import Millis
from schemas.log import Command, Holds


def applied(holds: Holds, command: Command, now: Millis) -> Holds:
    """Return the holds behind a command that concerns everybody's executions; a repeated one changes nothing."""
    is_pause = command.action == "pause"
    if command.workflow_id is not None:
        changed = replace(holds, workflows=_with(holds.workflows, command.workflow_id, present=is_pause))
    elif command.channel is not None:
        changed = replace(holds, channels=_with(holds.channels, command.channel, present=is_pause))
    else:
        changed = replace(holds, everything=is_pause)
    return changed if is_pause or changed == holds else replace(changed, released_at=now)


def _with(names: tuple[str, ...], name: str, *, present: bool) -> tuple[str, ...]:
    return tuple(sorted({*names, name} if present else {*names} - {name}))


def is_named(execution: Execution, command: Command) -> bool:
    """Tell whether a command to a customer concerns an execution."""
    return command.execution_id in {None, execution.execution_id} and command.workflow_id in {
        None,
        execution.workflow_id,
    }


def is_held(execution: Execution, holds: Holds | None) -> bool:
    """Tell whether an execution may not move on by itself."""
    if execution.paused_at is not None:
        return True
    return holds is not None and (holds.everything or execution.workflow_id in holds.workflows)


def is_channel_held(channel: str | None, holds: Holds | None) -> bool:
    """Tell whether messages of a channel may not go out."""
    return holds is not None and channel in holds.channels


def is_due(execution: Execution, visit: Visit, holds: Holds | None, now: Millis) -> bool:
    """Tell whether a branch's instant has come and nothing holds it back."""
    if visit.due_at is None or visit.due_at > now:
        return False
    if holds is None and execution.paused_at is None:
        return True
    return not (is_held(execution, holds) or is_channel_held(visit.held_on, holds))


def held_deadline(execution: Execution, holds: Holds | None, since: Millis) -> Millis:
    """Return when a branch of an execution is due next, where holds may matter; `NO_DEADLINE` for never.

    What fell due while it was held is due when it was released.

    Args:
        execution: of the customer.
        holds: what is held for everybody.
        since: the customer's latest decision time, behind which no other may lie.
    """
    if is_held(execution, holds):
        return NO_DEADLINE
    earliest = since if holds is None else max(since, holds.released_at)
    instants = [
        max(visit.due_at, earliest)
        for visit in execution.branches
        if visit.due_at is not None and not is_channel_held(visit.held_on, holds)
    ]
    return min(instants, default=NO_DEADLINE)
