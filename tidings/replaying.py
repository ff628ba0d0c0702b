"""A replay of all partitions, side by side: as many processes as the machine has processors, and one report."""

import os
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct, structs

from agents.catalogues import Catalogues
from agents.comparing import Difference
from agents.replaying import Cause, PartitionReplay, Reach, ReplayPlan, find_cause, replay_partition
from journeys.newest import newest_events
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.events import Json
from schemas.instants import format_instant
from schemas.kept_events import kept_event
from schemas.log import encode_event
from tidings.side_by_side import side_by_side


class Task(Struct, frozen=True):
    """One partition to be replayed."""

    plan: ReplayPlan
    partition: int
    reach: Reach


def replay_all(
    plan: ReplayPlan, reaches: dict[int, Reach], progress: Callable[[int, int], object], processes: int | None = None
) -> list[PartitionReplay]:
    """Replay partitions of the customer log.

    Args:
        plan: what is asked about.
        reaches: how far everything goes, by the partition to be replayed.
        progress: is called with how many offsets of the log are folded, of how many.
        processes: at once; None: one for each processor.

    Raises:
        TidingsError: as `replay_partition`.
    """
    tasks = [Task(plan, *item) for item in sorted(reaches.items())]
    total = sum(reach.position for reach in reaches.values())
    at_once = min(processes or os.cpu_count() or 1, len(tasks))
    if at_once == 1:
        results = _replay_in_turn(tasks, lambda done: progress(done, total))
    else:
        results = list(side_by_side(_replay, tasks, at_once, lambda done: progress(done, total)))
    progress(total, total)
    return sorted(results, key=lambda result: result.partition)


def _replay(task: Task, tell: Callable[[int], object]) -> PartitionReplay:
    catalogues = Catalogues(task.plan.connection, task.plan.prefix, definitions_from_documents)
    return replay_partition(task.plan, task.partition, task.reach, catalogues, tell)


def _replay_in_turn(tasks: list[Task], progress: Callable[[int], object]) -> list[PartitionReplay]:
    results: list[PartitionReplay] = []
    done = 0

    def tell(offset: int) -> None:
        progress(done + offset)

    for task in tasks:
        results.append(_replay(task, tell))
        done += task.reach.position
    return results


def first_difference(results: Sequence[PartitionReplay]) -> tuple[PartitionReplay, Difference] | None:
    """Return the earliest difference of all partitions; of one instant, that of the first customer."""
    found = [(result, result.differences[0]) for result in results if result.differences]
    return min(found, key=lambda one: (one[1].at, one[1].customer_id, one[1].record_id), default=None)


def first_cause(plan: ReplayPlan, reaches: dict[int, Reach], results: Sequence[PartitionReplay]) -> Cause | None:
    """Return what the first difference comes from; None without one, or if it can't be told.

    Raises:
        TidingsError: as `replay_partition`.
    """
    found = first_difference(results)
    if found is None:
        return None
    result = found[0]
    catalogues = Catalogues(plan.connection, plan.prefix, definitions_from_documents)
    return find_cause(plan, result.partition, reaches[result.partition], catalogues, found[1])


def spelled_out(value: object) -> Json:
    """Write a state with the full names of what it holds; what has its default is left out.

    Events that it keeps are spelled out as well; of ids that it has only hashes of, these are written in hex.
    """
    if isinstance(value, Struct):
        fields = [(field, getattr(value, field.name)) for field in structs.fields(value)]
        told = {field.name: spelled_out(held) for field, held in fields if not _is_default(field, held)}
        if isinstance(value, Customer) and value.recent:
            told["recent"] = [{"at": format_instant(at), "type": name} for at, name in newest_events(value)]
        return told
    if isinstance(value, dict):
        return {str(key): spelled_out(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [spelled_out(held) for held in value]
    if isinstance(value, bytes):
        return _spelled_bytes(value)
    plain: Json = value  # type: ignore[assignment]
    return plain


def _spelled_bytes(value: bytes) -> Json:
    try:
        event: Json = msgspec.json.decode(encode_event(kept_event(value)))
    except msgspec.DecodeError:
        return value.hex()
    return event


def _is_default(field: structs.FieldInfo, held: object) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(held == field.default_factory())
    return bool(held == field.default)
