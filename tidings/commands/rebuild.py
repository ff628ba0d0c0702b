"""`tidings rebuild`: the workers' memory made again from the customer log, where its changelog was lost."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.catalogues import Catalogues
from agents.left_out import read_left_out
from agents.rebuilding import Rebuild, needs_rebuilding, rebuild_partition, refuse_beside_workers
from agents.replaying import ReplayPlan
from journeys.validation import definitions_from_documents
from schemas.errors import TidingsError
from schemas.topics import CUSTOMER_LOG, CUSTOMERS_CHANGELOG, topics
from streams.topics import committed_offsets, ensure_topics, partition_counts
from tidings.clock import fresh_bytes, wall_ms
from tidings.commands.options import refuse_no_snapshot
from tidings.commands.processes import reached
from tidings.commands.showing import folding_shown
from tidings.processes import WORKER_GROUP, topic_ids
from tidings.settings import process_environment, read_settings


def rebuild_command(
    snapshots: Annotated[
        Path | None,
        typer.Option(
            "--snapshots", metavar="DIR", help="Go on from the snapshots that `tidings replay` left in this folder."
        ),
    ] = None,
) -> None:
    """Make the workers' memory again from the customer log, where its changelog was lost; nothing is sent.

    Partitions whose memory is there are left alone. End all workers first; ended early, run it again.
    """
    settings = read_settings(process_environment())
    console = Console(highlight=False, soft_wrap=True)
    connection, prefix = reached(settings), settings.topic_prefix
    log = prefix + CUSTOMER_LOG
    count = partition_counts(connection, [log]).get(log)
    if count is None:
        raise TidingsError(f"there is no topic {log}: nothing has run here, or another prefix (TIDINGS_TOPIC_PREFIX)")
    topic_id = topic_ids(connection, [log])[log]
    refuse_no_snapshot(snapshots, count, topic_id)
    plan = ReplayPlan(
        connection=connection, prefix=prefix, partitions=count, topic_id=topic_id,
        snapshots=snapshots, registry_url=settings.schema_registry_url,
        left_out=read_left_out(connection, prefix),
    )  # fmt: skip
    catalogues = Catalogues(connection, prefix, definitions_from_documents)
    group = prefix + WORKER_GROUP
    name = f"{group}-rebuild-{fresh_bytes(8).hex()}"
    rebuild = Rebuild(plan=plan, group=group, name=name, catalogues=catalogues, clock=wall_ms)
    refuse_beside_workers(rebuild)
    wanted = topics(prefix, count, count, "wall")
    ensure_topics(connection, [spec for spec in wanted if spec.name == prefix + CUSTOMERS_CHANGELOG])
    lost = [partition for partition in range(count) if needs_rebuilding(rebuild, partition)]
    told = committed_offsets(connection, rebuild.group, log, settled=True)
    for partition in lost:
        with folding_shown() as progress:
            found = rebuild_partition(rebuild, partition, told.get(partition, 0), progress)
        console.print(
            f"Partition {partition}: {found.records:,} records folded again, {found.stored:,} entries stored;"
            f" its worker goes on at offset {found.next_offset:,}."
        )
    if lost:
        console.print(f"Rebuilt {len(lost)} of {count} partitions; nothing was sent. The workers can start.")
    else:
        console.print(f"The memory of all {count} partitions is there; nothing to rebuild.")
