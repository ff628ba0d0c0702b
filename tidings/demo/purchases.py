"""The CDNOW purchases: 23,570 customers who first bought CDs in early 1997, and all they bought until June 1998.

One line a purchase, in columns: customer, date, number of CDs, dollars. The data set is Fader and Hardie's
("Forecasting Repeat Sales at CDNOW", Interfaces 31, 2001). `make setup` fetches it; it isn't part of Tidings.
"""

from datetime import date
from pathlib import Path

from msgspec import Struct

from schemas.errors import TidingsError


class PurchasesError(TidingsError):
    """The purchases aren't there, or aren't in the form that they have."""


class Purchase(Struct, frozen=True):
    """One line: who bought how many CDs for how much, on which day."""

    customer: str
    day: date
    cds: int
    cents: int


def read_purchases(path: Path, customers: int | None = None) -> list[Purchase]:
    """Read the purchases of the first customers (default: all), in the file's order.

    Raises:
        PurchasesError: there is no such file, or a line isn't a purchase.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        msg = f"there are no purchases at {path}: run `make setup`, which fetches them, or give --data FILE"
        raise PurchasesError(msg) from None
    except UnicodeDecodeError:
        msg = f"{path} doesn't hold the CDNOW purchases: it isn't plain text"
        raise PurchasesError(msg) from None
    except OSError as error:
        msg = f"can't read the purchases in {path}: {error.strerror}"
        raise PurchasesError(msg) from None
    purchases: list[Purchase] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        columns = line.split()
        if not columns or columns[0] == "customer_id":
            continue
        try:
            purchase = _read_columns(columns)
        except ValueError:
            msg = f"{path} doesn't hold the CDNOW purchases: line {number} isn't customer, YYYYMMDD, CDs, dollars"
            raise PurchasesError(msg) from None
        seen.add(purchase.customer)
        if customers is not None and len(seen) > customers:
            break
        purchases.append(purchase)
    if not purchases:
        msg = f"{path} holds no purchases"
        raise PurchasesError(msg)
    return purchases


def _read_columns(columns: list[str]) -> Purchase:
    customer, day, cds, dollars = columns
    return Purchase(customer, date.fromisoformat(day), int(cds), round(float(dollars) * 100))
