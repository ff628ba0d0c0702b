"""A folder in which nothing is to go on from says why."""

from pathlib import Path

import msgspec
import pytest

from agents.snapshots import Snapshot, save_snapshot, snapshot_file, why_nothing_goes_on
from schemas.errors import TidingsError
from schemas.topics import OUTBOUND_TOPICS
from tidings.commands.options import refuse_no_snapshot

TOPIC, OTHER = bytes(16), bytes(15) + b"1"


def save(folder: Path, partition: int, topic_id: bytes = TOPIC, changed: str | None = None) -> None:
    nothing = dict.fromkeys(OUTBOUND_TOPICS, 0)
    made = Snapshot(
        topic_id=topic_id, partition=partition, next_offset=7, compared=nothing, same=nothing, memory={b"c:ada": b"x"}
    )
    save_snapshot(folder, made if changed is None else msgspec.structs.replace(made, **{changed: 0}))


def test_from_a_folder_with_one_snapshot_a_replay_goes_on(tmp_path: Path) -> None:
    """The other partitions have none yet, as where a replay was ended early."""
    save(tmp_path, 2)
    assert why_nothing_goes_on(tmp_path, range(3), TOPIC) is None
    refuse_no_snapshot(tmp_path, 3, TOPIC)


def test_a_folder_without_any_says_so(tmp_path: Path) -> None:
    """Neither one that isn't there, nor an empty one, nor one of a log with more partitions."""
    save(tmp_path / "more", 3)
    mistyped = tmp_path / "snapshot"
    assert why_nothing_goes_on(mistyped, range(3), TOPIC) == f"there is no folder {mistyped}"
    for folder in (tmp_path, tmp_path / "more"):
        assert why_nothing_goes_on(folder, range(3), TOPIC) == f"there is no snapshot in {folder}"


@pytest.mark.parametrize("field", ["rules_version", "state_format", "layout"])
def test_snapshots_of_another_release_are_named_as_such(tmp_path: Path, field: str) -> None:
    save(tmp_path, 0, changed=field)
    assert "left by another release" in (why_nothing_goes_on(tmp_path, range(1), TOPIC) or "")
    save(tmp_path, 1)
    assert why_nothing_goes_on(tmp_path, range(2), TOPIC) is None


def test_what_is_no_snapshot_of_this_log_is_refused_by_its_name(tmp_path: Path) -> None:
    save(tmp_path, 0, OTHER)
    with pytest.raises(TidingsError, match=r"partition-00000\.snapshot is a snapshot of another log"):
        why_nothing_goes_on(tmp_path, range(1), TOPIC)
    snapshot_file(tmp_path, 0).write_bytes(b"{}")
    with pytest.raises(TidingsError, match="is no snapshot, or is spoilt"):
        why_nothing_goes_on(tmp_path, range(1), TOPIC)
    with pytest.raises(TidingsError, match="is no folder"):
        why_nothing_goes_on(snapshot_file(tmp_path, 0), range(1), TOPIC)


def test_who_only_reads_snapshots_is_told_what_to_do_without_any(tmp_path: Path) -> None:
    """And nobody is who asked for none."""
    refuse_no_snapshot(None, 3, TOPIC)
    with pytest.raises(TidingsError, match=r"there is no snapshot in .*; name the folder .* or leave the option out"):
        refuse_no_snapshot(tmp_path, 3, TOPIC)
