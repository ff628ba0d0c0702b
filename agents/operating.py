"""An operator's commands, on their way into the customer log.

What concerns everybody goes to all partitions in one transaction, so that a stop is a stop everywhere or nowhere; what
concerns one customer goes to her partition alone.
"""

from agents.marking import log_writer
from schemas.instants import Millis
from schemas.log import Command
from streams.connection import Connection
from streams.partitions import partition_of


def publish_command(
    connection: Connection, prefix: str, command: Command, at: Millis, *, appended: Millis | None = None
) -> None:
    """Write a command to the log.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        command: repeated, it changes nothing more.
        at: its instant; what is due by then still happens.
        appended: the clock; None in a log with its own.

    Raises:
        TidingsError: Kafka refused or can't be reached; nothing was written then.
    """
    with log_writer(connection, prefix) as writer:
        if command.customer_key is None:
            writer.mark_all(command, at, appended)
        else:
            partition = partition_of(command.customer_key.encode(), writer.partitions)
            writer.mark(command, at, appended, partition)
