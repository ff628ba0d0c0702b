"""What an operator is told of a command: what it changes, that it changes nothing, or why it can't be given.

What is known is what the workers have stored; events and commands that they haven't read yet may make it otherwise. So
a command is given even where it seems to change nothing: whoever stops twice must find it stopped.
"""

from collections.abc import Sequence
from typing import Final

from agents.standing import Place
from journeys.commands import applied, is_held, is_named
from schemas.customer import Execution
from schemas.errors import TidingsError
from schemas.log import Command, Holds

_DONE: Final = {"pause": "Paused", "resume": "Resumed", "cancel": "Cancelled"}
_OBEYED: Final = "Workers obey as soon as they read it; see `tidings status`."
_SO_FAR: Final = "as far as the workers have read"
_MOST_NAMED: Final = 5


def answer_to_all(command: Command, named: str, holds: Sequence[Holds | None], stopped: Sequence[str]) -> str:
    """Answer a command that concerns everybody.

    Args:
        command: as it is given.
        named: what it is about, in words.
        holds: what is held back, by partition; None where that isn't known.
        stopped: the same in words.
    """
    changes = any(one is None or applied(one, command, 0) != one for one in holds)
    if command.action == "cancel" or changes:
        return f"{_DONE[command.action]}: {named}. {_OBEYED}"
    if command.action == "pause":
        return f"Paused already, {_SO_FAR}: {named}."
    others = f" What is paused: {' / '.join(stopped)}." if stopped else ""
    return f"Nothing to resume, {_SO_FAR}: there is no pause of {named}.{others}"


def answer_to_one(command: Command, customer_id: str, named: str, place: Place, prefix: str) -> str:
    """Answer a command that concerns one customer's executions.

    Raises:
        TidingsError: she isn't known, was absorbed by somebody else, or has no such execution.
    """
    _require_place(command, customer_id, place, prefix)
    if place.customer is None:
        return f"{_DONE[command.action]}: {named}. Her events aren't decided yet; workers obey behind them."
    found = [one for one in place.customer.executions if is_named(one, command)]
    if not found:
        return f"Nothing to {command.action}, {_SO_FAR}: {customer_id} is in no execution{_of_workflow(command)}."
    paused = [one for one in found if one.paused_at is not None]
    if command.action == "pause" and len(paused) == len(found):
        return f"Paused already, {_SO_FAR}: {named} ({_listed(found)})."
    if command.action == "resume" and not paused:
        return f"Nothing to resume, {_SO_FAR}: {named} isn't paused by itself.{_held_with_others(found, place.holds)}"
    concerned = paused if command.action == "resume" else found
    return f"{_DONE[command.action]}: {named} ({_listed(concerned)}). {_OBEYED}"


def _require_place(command: Command, customer_id: str, place: Place, prefix: str) -> None:
    if place.customer is None and not place.is_awaited:
        msg = (
            f"nothing is known of a customer {customer_id} in the topics {prefix}…, so nothing was done.\n"
            "Check the id (a visitor's is a:ID), TIDINGS_TOPIC_PREFIX, and with `tidings status` that ingest and worker"
            " run"
        )
        raise TidingsError(msg)
    if place.customer is None:
        return
    bonds = place.customer.bonds
    if bonds is not None and (into := bonds.merged_into) is not None:
        msg = f"{customer_id} was merged into {into.removeprefix('c:')}: say --customer {into.removeprefix('c:')}"
        raise TidingsError(msg)
    executions = place.customer.executions
    if command.execution_id not in {None, *(one.execution_id for one in executions)}:
        there = f"under way are: {_listed(executions)}" if executions else "none of hers is"
        msg = f"{customer_id} has no execution {command.execution_id} under way, {_SO_FAR}; {there}"
        raise TidingsError(msg)


def _of_workflow(command: Command) -> str:
    return "" if command.workflow_id is None else f" of workflow {command.workflow_id}"


def _listed(executions: Sequence[Execution]) -> str:
    names = [f"{one.execution_id} of {one.workflow_id}" for one in executions[:_MOST_NAMED]]
    more = len(executions) - len(names)
    return ", ".join(names) + (f", and {more:,} more" if more else "")


def _held_with_others(found: Sequence[Execution], holds: Holds | None) -> str:
    if holds is None or not any(is_held(one, holds) for one in found):
        return ""
    if holds.everything:
        return " Everything is: `tidings resume --all`."
    workflow_id = next(one.workflow_id for one in found if one.workflow_id in holds.workflows)
    return f" Its workflow is: `tidings resume {workflow_id}`."
