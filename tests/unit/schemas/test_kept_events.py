"""Events that a state keeps come out as they went in, and are small."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from schemas.events import Event, Stream
from schemas.instants import EARLIEST, LATEST
from schemas.kept_events import NO_EVENT, keep_event, kept_event
from schemas.log import decode_event, encode_event

_OBJECTS = st.sampled_from((b"{}", b'{"a":1.50}', b'{"a":{"b":[9007199254740993,null]}}')).map(Raw)
_TEXTS = st.none() | st.text(max_size=40)
_INSTANTS = st.integers(EARLIEST, LATEST)


@given(
    st.builds(
        Event, event_id=st.text(max_size=40), type=st.text(max_size=40), occurred_at=_INSTANTS,
        stream=st.sampled_from(get_args(Stream)), customer_id=_TEXTS, anonymous_id=_TEXTS,
        received_at=st.none() | _INSTANTS, source=_TEXTS, session_id=_TEXTS, properties=_OBJECTS, context=_OBJECTS,
        machine=st.booleans(), has_address=st.booleans(),
    )
)  # fmt: skip
def test_what_is_kept_comes_out_again(event: Event) -> None:
    """Every field, and properties and context to the byte; nothing that is kept looks like none."""
    kept = keep_event(event)
    assert kept_event(kept) == event
    assert kept != NO_EVENT


@pytest.mark.parametrize("context", [b"", b',"context":{}'])
def test_a_kept_event_needs_little_besides_what_it_says(context: bytes) -> None:
    """Two bytes a field, where its JSON has its name, quotes and thirteen digits."""
    written = (
        b'{"event_id":"o-1","type":"order_completed","occurred_at":852394032000,"stream":"behavioral","customer_id":'
        b'"00783","received_at":852394032050,"source":"website","properties":{"total":23.99}' + context + b"}"
    )
    event = decode_event(written)
    said = ("o-1", "order_completed", "00783", "website", '{"total":23.99}')
    assert len(keep_event(event)) <= sum(map(len, said)) + 3 * 8 + 12
    assert decode_event(encode_event(kept_event(keep_event(event)))) == event
