"""Recorded histories with the records they led to, as they were when they were recorded.

A change of the rules that alters one of them changes what replay reproduces: raise `RULES_VERSION`, say in the
changelog what is decided differently and why, and record anew:

    tidings simulate --definitions examples/welcome --events examples/welcome/events.ndjson \
        --until 2026-04-01T00:00:00Z --output tests/replay/welcome.ndjson
"""

import io
from pathlib import Path

import msgspec

from journeys.catalogue import compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.instants import parse_instant
from tidings.definitions_folder import load_folder
from tidings.event_file import read_lines
from tidings.simulation import simulate

ROOT = Path(__file__).parents[2]


def test_the_welcome_series_decides_as_it_was_recorded() -> None:
    """The same events lead to the same sends, decisions, ids, times and state hashes as in the record."""
    folder = load_folder(ROOT / "examples" / "welcome")
    catalogue = compile_catalogue(definitions_from_documents(folder.documents), number=1)
    written = io.BytesIO()
    simulate(
        catalogue,
        read_lines(ROOT / "examples" / "welcome" / "events.ndjson"),
        until=parse_instant("2026-04-01T00:00:00Z"),
        write=written.write,
    )
    recorded = (ROOT / "tests" / "replay" / "welcome.ndjson").read_bytes()
    for now, then in zip(written.getvalue().splitlines(), recorded.splitlines(), strict=False):
        assert msgspec.json.decode(now) == msgspec.json.decode(then)
    assert written.getvalue() == recorded
