"""The memory of a partition at an offset, kept in a file: where a replay goes on, also when the log before is gone.

A snapshot is what the changelog would hold, and how far the recorded outputs were compared by then. It is only as good
as the log and the rules it was made of, so it names both.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from journeys.catalogue import RULES_VERSION
from schemas.customer import TIGHT_FORMAT
from schemas.errors import TidingsError

LAYOUT: Final = 1
_encoder: Final = msgspec.msgpack.Encoder()


class Snapshot(Struct, frozen=True, kw_only=True):
    """What a replay knows of a partition once everything before `next_offset` is folded and compared."""

    topic_id: bytes
    partition: int
    next_offset: int
    compared: dict[str, int]
    """By outbound topic, the first offset that isn't compared yet."""
    same: dict[str, int]
    """By outbound topic, how many records were the same so far."""
    memory: dict[bytes, bytes]
    """The last value of each key of the changelog."""
    layout: int = LAYOUT
    rules_version: int = RULES_VERSION
    state_format: int = TIGHT_FORMAT
    """The newest format of a state that it may hold."""


class _Origin(Struct, frozen=True, kw_only=True):
    """What a snapshot says of itself."""

    topic_id: bytes
    partition: int
    layout: int = LAYOUT
    rules_version: int = RULES_VERSION
    state_format: int = TIGHT_FORMAT


_Read = TypeVar("_Read", Snapshot, _Origin)
_decoder: Final = msgspec.msgpack.Decoder(Snapshot)
_origin_decoder: Final = msgspec.msgpack.Decoder(_Origin)


def snapshot_file(folder: Path, partition: int) -> Path:
    """Return where a partition's snapshot lies."""
    return folder / f"partition-{partition:05}.snapshot"


def save_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write a snapshot in place of the one before, whole or not at all.

    Raises:
        TidingsError: the folder can't be written.
    """
    file = snapshot_file(folder, snapshot.partition)
    fresh = file.with_suffix(".new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(_encoder.encode(snapshot))
        fresh.replace(file)
    except OSError as error:
        msg = f"can't write the snapshot {file}: {error.strerror}"
        raise TidingsError(msg) from None


def load_snapshot(folder: Path, partition: int, topic_id: bytes) -> Snapshot | None:
    """Return a partition's snapshot; None if there is none, or if other rules or another version wrote it.

    Raises:
        TidingsError: it can't be read, is spoilt, or is of another log.
    """
    snapshot = _read(_decoder, folder, partition, topic_id)
    return snapshot if snapshot is not None and _is_ours(snapshot) else None


def why_nothing_goes_on(folder: Path, partitions: Iterable[int], topic_id: bytes) -> str | None:
    """Say why no partition can go on from a folder; None if any can.

    Args:
        folder: where snapshots should lie.
        partitions: those of the log, or some of them.
        topic_id: of the log.

    Raises:
        TidingsError: it is no folder, or the first snapshot in it can't be read, is spoilt, or is of another log.
    """
    if not folder.exists():
        return f"there is no folder {folder}"
    if not folder.is_dir():
        raise TidingsError(f"{folder} is no folder: name the one in which snapshots lie")
    found = False
    for partition in partitions:
        origin = _read(_origin_decoder, folder, partition, topic_id)
        if origin is not None and _is_ours(origin):
            return None
        found = found or origin is not None
    if found:
        return f"the snapshots in {folder} were left by another release, whose rules or states are others"
    return f"there is no snapshot in {folder}"


def _read(decoder: msgspec.msgpack.Decoder[_Read], folder: Path, partition: int, topic_id: bytes) -> _Read | None:
    file = snapshot_file(folder, partition)
    try:
        snapshot = decoder.decode(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"can't read the snapshot {file}: {error.strerror}"
        raise TidingsError(msg) from None
    except msgspec.DecodeError:
        msg = f"{file} is no snapshot, or is spoilt: delete it, or name another folder"
        raise TidingsError(msg) from None
    if snapshot.topic_id != topic_id or snapshot.partition != partition:
        msg = f"{file} is a snapshot of another log: name another folder"
        raise TidingsError(msg)
    return snapshot


def _is_ours(snapshot: Snapshot | _Origin) -> bool:
    return (snapshot.layout, snapshot.rules_version, snapshot.state_format) == (LAYOUT, RULES_VERSION, TIGHT_FORMAT)
