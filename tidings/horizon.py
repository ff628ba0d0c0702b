"""What can be replayed, in words: partition by partition, and what follows from it for whoever asks about the past."""

from collections.abc import Iterator, Sequence

from agents.kept_log import KeptPartition
from schemas.instants import as_text
from tidings.printing import counted


def horizon_lines(log: str, kept: Sequence[KeptPartition]) -> Iterator[str]:
    """Yield what is kept of each partition of the log, then what can be asked about its past, and what can't."""
    for one in kept:
        yield f"{log} {one.partition}: {_kept(one)}"
        if one.snapshot is not None:
            yield f"  {_snapshot(one)}"
        cut = [name for name, (first, _) in one.reach.outputs.items() if first]
        if cut:
            yield f"  {', '.join(cut)} have lost their beginnings: what was decided before can't be compared"
    yield ""
    yield f"replay            {_replay(kept)}"
    yield f"what-if           {_what_if(kept)}"
    yield f"backfill          {_whole_log(kept)}"
    yield f"explain           {_explain(kept)}"


def _kept(one: KeptPartition) -> str:
    reach = one.reach
    if one.first_at is None:
        return "nothing in it" if one.is_whole else f"nothing in it; what was before {reach.log_start:,} is gone"
    held = counted(reach.log_end - reach.log_start, "offset")
    times = f"{as_text(one.first_at)} to {as_text(one.last_at)}"
    if one.is_whole:
        return f"{held}, from its beginning, {times}"
    return f"{held}, from {reach.log_start:,}, {times}; before it only by a snapshot"


def _snapshot(one: KeptPartition) -> str:
    assert one.snapshot is not None  # noqa: S101 -- the caller has looked
    if one.snapshot < one.reach.log_start:
        gone = counted(one.reach.log_start - one.snapshot, "offset")
        return f"its snapshot goes on at {one.snapshot:,}: too old, for what follows it ({gone}) is gone"
    behind = counted(one.reach.log_end - one.snapshot, "offset")
    return f"its snapshot goes on at {one.snapshot:,}, {behind} before the end"


def _replay(kept: Sequence[KeptPartition]) -> str:
    possible = [one for one in kept if one.begins_at is not None]
    if len(possible) == len(kept):
        goes_on = sum(bool(one.begins_at) for one in kept)
        return "possible" + (f"; {goes_on} of {len(kept)} partitions go on from a snapshot" if goes_on else "")
    lost = _numbers([one for one in kept if one.begins_at is None])
    if not possible:
        return "impossible: the beginnings are gone, and no snapshot stands for them; --snapshots DIR names a folder"
    return f"of {len(possible)} of {len(kept)} partitions; of {lost} the beginning is gone, and there is no snapshot"


def _what_if(kept: Sequence[KeptPartition]) -> str:
    if all(one.is_whole for one in kept):
        return _whole_log(kept)
    lost = [one for one in kept if one.begins_at is None]
    if lost:
        return f"impossible: of {_numbers(lost)} the beginning is gone, and there is no snapshot"
    return "possible with --snapshots, for a --since behind them"


def _whole_log(kept: Sequence[KeptPartition]) -> str:
    lost = [one for one in kept if not one.is_whole]
    if lost:
        return f"impossible: it needs the whole log, and the beginning of {_numbers(lost)} is gone"
    first = min((one.first_at for one in kept if one.first_at is not None), default=None)
    return "possible" if first is None else f"possible, from {as_text(first)} on"


def _explain(kept: Sequence[KeptPartition]) -> str:
    lost = [one for one in kept if one.begins_at is None]
    resumed = [one for one in kept if one.begins_at is not None and not one.is_whole]
    if len(lost) == len(kept):
        return "impossible: the beginnings are gone, and no snapshot stands for them"
    possible = [one for one in kept if one.begins_at is not None]
    whom = f"of the customers of {_numbers(possible)} alone" if lost else "possible of everybody"
    return whom + (f"; of {_numbers(resumed)} from the snapshot on, with --snapshots" if resumed else "")


def _numbers(partitions: Sequence[KeptPartition]) -> str:
    named = ", ".join(str(one.partition) for one in partitions)
    return f"partition {named}" if len(partitions) == 1 else f"partitions {named}"
