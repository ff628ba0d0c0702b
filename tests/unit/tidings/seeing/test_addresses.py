"""Processes of a machine find each other by files, and those that are gone by the absence of their pid."""

import os
from pathlib import Path

from tidings.seeing.addresses import FOLDER, Address, read_addresses, write_address


def address(name: str, pid: int, prefix: str = "shop.") -> Address:
    return Address(name=name, pid=pid, url="http://127.0.0.1:1", prefix=prefix, started_at=0)


def test_who_runs_under_the_prefix_is_found_and_who_is_gone_is_forgotten(tmp_path: Path) -> None:
    ours = address("worker", os.getpid())
    gone = write_address(tmp_path, address("ingest", 2**22 + 1))
    write_address(tmp_path, ours)
    write_address(tmp_path, address("up", os.getppid(), prefix="other."))
    (tmp_path / FOLDER / "half.json").write_bytes(b'{"name": "wor')
    assert read_addresses(tmp_path, "shop.") == [ours]
    assert not gone.exists()


def test_where_nothing_ever_ran_nobody_is_found(tmp_path: Path) -> None:
    assert read_addresses(tmp_path / "nowhere", "shop.") == []
