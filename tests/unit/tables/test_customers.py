"""The customers table: bytes are the truth, live objects are a cache of it."""

from schemas.customer import HEAD_BYTES, Customer, Head, decode_customer, decode_head, encode_customer
from tables.customers import CustomersTable


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
    changes = dict(table.encode_changed(3, 7))
    assert set(changes) == {b"a", b"b"}
    assert decode_head(changes[b"a"]) == head(5)
    assert decode_customer(changes[b"a"]).customer_id == "a"
    assert table.encode_changed(3, 8) == []


def test_what_was_settled_is_read_back_after_it_went_cold() -> None:
    table = table_with(b"a", b"b", hot=0)
    customer = table.get(b"a")
    assert customer is not None
    customer.counts["x"] = 4
    table.settle(table.encode_changed(3, 7))
    again = table.get(b"a")
    assert again is not customer
    assert again == customer


def test_a_customer_that_was_changed_since_stays_hot() -> None:
    table = table_with(b"a", hot=0)
    changes = table.encode_changed(3, 7)
    customer = table.get(b"a")
    assert customer is not None
    customer.counts["x"] = 1
    table.touch(b"a", None)
    table.settle(changes)
    assert table.get(b"a") is customer


def test_the_least_recently_touched_go_cold_first() -> None:
    table = table_with(b"a", b"b", b"c", hot=2)
    table.get(b"a")
    table.settle(table.encode_changed(3, 7))
    assert set(table._live) == {b"a", b"c"}


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


def test_nobody_is_found_under_an_unknown_key() -> None:
    assert CustomersTable().get(b"a") is None
