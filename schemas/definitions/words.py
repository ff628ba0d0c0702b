"""Words that several definitions are made of: names, numbers in their range, and what is chosen from a few."""

from typing import Annotated, Literal

from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1, le=1_000)]
"""Any count in a trigger or a `performed`: the number of instants a customer's state may have to keep."""
Percent = Annotated[float, Meta(ge=0, le=100)]
Rate = Annotated[float, Meta(ge=0, le=1)]
"""So many of one."""
Category = Literal["marketing", "transactional"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Stage = Literal["prospect", "lead", "customer", "advocate", "churned"]
"""Of a customer's life, in the order in which they follow each other."""
