"""The short version of `make faults`: three faults that no other test has, on one broker, compared with `simulate`."""

from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.laboratory import WORKERS, Laboratory, Outcome
from tests.faults.schedule import Kind, schedule


def test_a_silent_network_a_full_disk_and_a_refused_record_lose_and_double_nothing(tmp_path: Path) -> None:
    """What a stranger reads afterwards is what `simulate` says, and each fault found the log half decided."""
    kinds: tuple[Kind, ...] = ("pause_network", "full_disk", "refused_record")
    outcomes: list[Outcome] = []
    with Cluster(tmp_path / "kafka", 1) as cluster:
        verdict = Laboratory(cluster, tmp_path, 3, schedule(3, len(kinds), 1, WORKERS, kinds)).run(outcomes.append)
    assert {one.fault.kind for one in outcomes} == set(kinds)
    assert verdict.is_right, verdict
    assert outcomes[-1].after > outcomes[0].before
    assert verdict.records > 1_000
