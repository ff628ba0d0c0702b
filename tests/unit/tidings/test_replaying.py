"""A state is shown to a person in words, whatever it keeps in bytes."""

import msgspec

from tests.journey import Journey, absence, mail, wait, workflow
from tidings.replaying import spelled_out


class _Told(msgspec.Struct, frozen=True):
    recent: list[dict[str, str]]
    seen: str


def test_a_state_tells_the_events_and_instants_that_it_keeps_in_bytes() -> None:
    """What started an execution, what an absence waits for, and the newest events are told; only hashes stay hashes."""
    journey = Journey(
        workflow(wait("pause", "mail", duration_hours=24), mail()),
        workflow(id="cart", on=[absence("cart_filled", "ordered", 60)]),
    )
    journey.publish("signup", plan="gold")
    journey.publish("cart_filled")
    text = msgspec.json.encode(spelled_out(journey.customer())).decode()
    told = msgspec.json.decode(text, type=_Told)
    assert [one["type"] for one in told.recent] == ["signup", "cart_filled"]
    assert '"plan":"gold"' in text
    assert '"type":"cart_filled"' in text
    assert len(bytes.fromhex(told.seen)) > 0
