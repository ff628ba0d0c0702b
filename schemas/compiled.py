"""The way of most public records into the log, as compiled code where `make setup` found a compiler.

What is right is said in Python: `read_envelope`, `check_envelope`, `customer_key`, `encode_event`. The compiled
function takes plain records only, all of one or nothing of it, so nothing depends on whether it is here;
`tests/property/test_translating.py` compares the two, byte for byte.
"""

from collections.abc import Callable

from schemas.events import LINKING_TYPES, MAX_ID_CHARACTERS, Stream
from schemas.instants import EARLIEST, LATEST


def _not_translated(_value: bytes, _stream: Stream) -> tuple[bytes, bytes] | None:
    return None


translate: Callable[[bytes, Stream], tuple[bytes, bytes] | None] = _not_translated
"""Return the key and the value that a public record in JSON has in the log; None: it is to go its way in Python.

The arguments: the value of the record; the stream of its topic. None says nothing about the record: it may be no event,
may make two records, or only be written in an unusual way.
"""
murmur2: Callable[[bytes], int] | None = None
"""Hash a key as Kafka's Java clients do, to 32 bits without a sign; None where nothing is compiled."""

try:
    # Not there without a compiler.
    from schemas import _hot

    _hot.bind(  # pragma: no cover -- coverage is that of Python
        tuple(sorted(name.encode() for name in LINKING_TYPES)), EARLIEST, LATEST, MAX_ID_CHARACTERS
    )
except (ImportError, AttributeError, TypeError):
    IS_COMPILED = False
else:  # pragma: no cover -- likewise
    IS_COMPILED = True
    translate, murmur2 = _hot.translate, _hot.murmur2
