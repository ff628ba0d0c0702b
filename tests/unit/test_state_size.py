"""What a customer's stored state weighs, by which memory, recovery and the changelog are paid."""

from bench.states import states

TYPICAL_BYTES = 1_024
BUSY_BYTES = 1_700


def test_a_typical_customer_with_two_executions_needs_at_most_a_kilobyte() -> None:
    typical, busy = states()
    assert typical.executions == busy.executions == 2
    assert typical.state_bytes <= TYPICAL_BYTES
    assert busy.state_bytes <= BUSY_BYTES
