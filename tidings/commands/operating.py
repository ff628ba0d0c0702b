"""`tidings pause`, `tidings resume` and `tidings executions`: the stop button, and single executions."""

from typing import Annotated, Final, Literal

import typer

from agents.catalogues import read_versions
from agents.operating import publish_command
from agents.standing import read_place, read_positions
from journeys.documents import id_of, kind_of
from schemas.decisions import Channel
from schemas.errors import TidingsError
from schemas.log import Command, Holds
from schemas.topics import CUSTOMER_LOG, DEFINITIONS
from streams.connection import Connection
from streams.topics import partition_counts
from tidings.clock import fresh_bytes
from tidings.commanding import answer_to_all, answer_to_one
from tidings.commands.moments import AtOption, moment, read_at
from tidings.commands.processes import reached
from tidings.seeing.report import stopped
from tidings.settings import process_environment, read_settings
from tidings.usage import WrongUsage

Action = Literal["pause", "resume", "cancel"]
WorkflowArgument = Annotated[
    str | None, typer.Argument(metavar="[WORKFLOW]", help="The id of a workflow.", show_default=False)
]
AllOption = Annotated[bool, typer.Option("--all", help="Everything: every workflow on every channel.")]
ChannelOption = Annotated[Channel | None, typer.Option("--channel", help="What goes out on one channel.")]
CustomerOption = Annotated[
    str | None, typer.Option("--customer", metavar="ID", help="Of this customer; of a visitor `a:` and the id.")
]
ExecutionOption = Annotated[
    str | None, typer.Option("--execution", metavar="ID", help="This execution alone; its --customer is needed.")
]
WorkflowOption = Annotated[str | None, typer.Option("--workflow", metavar="ID", help="Those of this workflow.")]
_LAST_RECORDS: Final = 2_000
"""So near the end positions are looked for: a stop doesn't wait for what it is only answered with."""

app = typer.Typer(no_args_is_help=True, help="Pause, resume or cancel executions of a customer or a workflow.")


def pause(
    workflow: WorkflowArgument = None,
    everything: AllOption = False,
    channel: ChannelOption = None,
    at: AtOption = None,
) -> None:
    """Stop a workflow, a channel or everything, at once: nothing goes out until `tidings resume`.

    Executions keep their place and waiting time goes on. What falls due meanwhile goes by each step's `on_overdue`
    when it is resumed. Events are taken in and profiles kept up as before.
    """
    _hold("pause", workflow, channel, at, everything=everything)


def resume(
    workflow: WorkflowArgument = None,
    everything: AllOption = False,
    channel: ChannelOption = None,
    at: AtOption = None,
) -> None:
    """Let go on what `tidings pause` has stopped in the same words."""
    _hold("resume", workflow, channel, at, everything=everything)


@app.command("pause")
def pause_executions(
    customer: CustomerOption = None, execution: ExecutionOption = None, workflow: WorkflowOption = None,
    at: AtOption = None,
) -> None:  # fmt: skip
    """Pause executions: they keep their place until they are resumed."""
    _order("pause", customer, execution, workflow, at)


@app.command("resume")
def resume_executions(
    customer: CustomerOption = None, execution: ExecutionOption = None, workflow: WorkflowOption = None,
    at: AtOption = None,
) -> None:  # fmt: skip
    """Resume paused executions: what is due goes in order, each by its `on_overdue`."""
    _order("resume", customer, execution, workflow, at)


@app.command("cancel")
def cancel_executions(
    customer: CustomerOption = None, execution: ExecutionOption = None, workflow: WorkflowOption = None,
    at: AtOption = None,
) -> None:  # fmt: skip
    """End executions for good (reason `cancelled`)."""
    _order("cancel", customer, execution, workflow, at)


def _hold(action: Action, workflow: str | None, channel: Channel | None, at: str | None, *, everything: bool) -> None:
    if (workflow is not None) + everything + (channel is not None) != 1:
        msg = f"say what to {action}: a WORKFLOW, --channel or --all, one of them"
        raise WrongUsage(msg)
    named = f"workflow {workflow}" if workflow else f"channel {channel}" if channel else "everything"
    _publish(_command(action, workflow_id=workflow, channel=channel), at, named)


def _order(action: Action, customer: str | None, execution: str | None, workflow: str | None, at: str | None) -> None:
    if execution is not None and customer is None:
        msg = "--execution needs its --customer: the log is kept by customer"
        raise WrongUsage(msg)
    if customer is None and workflow is None:
        msg = f"say whose executions to {action}: --customer, --workflow, or both"
        raise WrongUsage(msg)
    key = None if customer is None else customer if customer.startswith("a:") else f"c:{customer}"
    scopes = {"customer": customer, "execution": execution, "workflow": workflow}
    named = ", ".join(f"{name} {value}" for name, value in scopes.items() if value is not None)
    _publish(_command(action, key, execution, workflow), at, named)


def _command(
    action: Action,
    customer_key: str | None = None,
    execution_id: str | None = None,
    workflow_id: str | None = None,
    channel: Channel | None = None,
) -> Command:
    return Command(
        command_id=f"command-{fresh_bytes(8).hex()}",
        action=action,
        customer_key=customer_key,
        execution_id=execution_id,
        workflow_id=workflow_id,
        channel=channel,
    )


def _publish(command: Command, at: str | None, named: str) -> None:
    given_at = read_at(at)
    settings = read_settings(process_environment())
    connection = reached(settings)
    if command.workflow_id is not None:
        require_workflow(connection, settings.topic_prefix, command.workflow_id)
    answer = _answer(connection, settings.topic_prefix, command, named)
    when = moment(given_at, connection, settings.topic_prefix)
    publish_command(connection, settings.topic_prefix, command, when.at, appended=when.appended)
    typer.echo(answer)


def _answer(connection: Connection, prefix: str, command: Command, named: str) -> str:
    """Return what is to be said once the command is written.

    Raises:
        TidingsError: it names who or what isn't there.
    """
    log = prefix + CUSTOMER_LOG
    partitions = partition_counts(connection, [log]).get(log)
    if partitions is None:
        msg = f"there is no topic {log}: nothing has run here, or another prefix (TIDINGS_TOPIC_PREFIX)"
        raise TidingsError(msg)
    if command.customer_key is not None:
        place = read_place(connection, prefix, command.customer_key.encode())
        return answer_to_one(command, command.customer_key.removeprefix("c:"), named, place, prefix)
    positions = read_positions(connection, prefix, _LAST_RECORDS)
    found = [positions.get(number) for number in range(partitions)]
    holds = [None if position is None else position.holds or Holds() for position in found]
    return answer_to_all(command, named, holds, stopped(holds))


def require_workflow(connection: Connection, prefix: str, workflow_id: str) -> None:
    """Make sure that a workflow is known, in force or in an earlier version: a wrong name would stop nothing.

    Raises:
        TidingsError: it isn't.
    """
    versions = read_versions(connection, prefix) if partition_counts(connection, [prefix + DEFINITIONS]) else []
    documents = [document for version in versions for document in version.stored.documents]
    known = {str(id_of(document)) for document in documents if kind_of(document) == "workflow"}
    if workflow_id not in known:
        msg = f"there is no workflow {workflow_id} (there are: {', '.join(sorted(known)) or 'none'})"
        raise TidingsError(msg)
