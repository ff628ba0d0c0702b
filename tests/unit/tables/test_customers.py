"""The customers table: bytes are the truth, live objects are a cache of it."""

from schemas.customer import HEAD_BYTES, Customer, Head, decode_customer, decode_head, encode_customer
from tables.customers import NEW_CUSTOMER_BYTES, CustomersTable


def head(deadline: int | None = None) -> Head:
    return Head(catalogue=3, deadline=deadline, last_offset=7)


def table_with(*names: bytes, hot: int = 10) -> CustomersTable:
    table = CustomersTable(hot)
    for name in names:
        table.add(name, Customer(customer_id=name.decode()))
        table.touch(name, None)
    return table


def test_a_changed_customer_is_encoded_once_with_her_last_deadline() -> None:
    table = table_with(b"a", b"b")
    table.touch(b"a", 5)
    changes = dict(table.take_changes(3, 7))
    assert set(changes) == {b"a", b"b"}
    stored = changes[b"a"]
    assert stored is not None
    assert decode_head(stored) == head(5)
    assert decode_customer(stored).customer_id == "a"
    assert table.take_changes(3, 8) == []


def test_what_was_taken_is_read_back_after_it_went_cold() -> None:
    table = table_with(b"a", b"b", hot=0)
    customer = table.get(b"a")
    assert customer is not None
    customer.counts["x"] = 4
    table.take_changes(3, 7)
    table.take_changes(3, 8)
    table.add(b"c", Customer(customer_id="c"))
    table.take_changes(3, 9)
    again = table.get(b"a")
    assert again is not customer
    assert again == customer


def test_who_was_looked_at_lately_stays_decoded() -> None:
    """Twice as many lookups as fit make two generations pass; who was looked at in the last one is the same object."""
    table = table_with(b"a", b"b", b"c", hot=2)
    known = {name: table.get(name) for name in (b"a", b"b")}
    table.take_changes(3, 7)
    assert table.get(b"a") is known[b"a"]
    for name in (b"d", b"e"):
        table.add(name, Customer(customer_id=name.decode()))
    table.take_changes(3, 8)
    assert table.get(b"a") is known[b"a"]
    assert table.get(b"b") is not known[b"b"]
    assert len(table) == 5


def test_the_size_of_what_changed_is_known_before_it_is_encoded() -> None:
    """A customer counts once, with the bytes she had when she was stored; taken, nothing is left to count."""
    table = table_with(b"a")
    assert table.changed_bytes == NEW_CUSTOMER_BYTES
    [(_, stored)] = table.take_changes(3, 7)
    assert stored is not None
    assert table.changed_bytes == 0
    table.touch(b"a", None)
    table.touch(b"a", 5)
    assert table.changed_bytes == len(stored)


def test_restored_customers_are_indexed_by_their_heads_alone() -> None:
    table = CustomersTable()
    table.restore(b"a", encode_customer(Customer(customer_id="a"), head(9))[:HEAD_BYTES])
    table.restore(b"b", encode_customer(Customer(customer_id="b"), head()))
    table.restore(b"c", encode_customer(Customer(customer_id="c"), head(4)))
    table.restore(b"c", None)
    table.index()
    assert table.due.next_due(100) == (9, b"a")
    assert set(table.keys()) == {b"a", b"b"}
    assert len(table) == 2


def test_a_removed_customer_is_gone_at_once_and_from_the_changelog_with_the_next_changes() -> None:
    table = table_with(b"a", b"b")
    table.take_changes(3, 7)
    table.touch(b"a", 5)
    table.remove(b"a")
    assert table.get(b"a") is None
    assert (len(table), table.due.next_due(100)) == (1, None)
    assert table.take_changes(3, 8) == [(b"a", None)]
    assert table.take_changes(3, 9) == []


def test_who_comes_back_after_being_removed_is_stored_anew() -> None:
    table = table_with(b"a")
    table.take_changes(3, 7)
    table.remove(b"a")
    table.add(b"a", Customer(customer_id="a"))
    table.touch(b"a", None)
    ((key, stored),) = table.take_changes(3, 8)
    assert key == b"a"
    assert stored is not None


def test_who_was_never_stored_leaves_nothing_to_remove() -> None:
    table = table_with(b"a")
    table.remove(b"a")
    assert table.take_changes(3, 7) == []


def test_nobody_is_found_under_an_unknown_key() -> None:
    assert CustomersTable().get(b"a") is None
