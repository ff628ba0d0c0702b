"""What a what-if has found, for a person, a program and a browser."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from liquid import Environment
from msgspec import Struct

from agents.what_if import Change
from tidings.printing import counted

SHOWN: Final = 1_000
"""Sends that the page lists one by one."""
KINDS: Final = {"added": "added", "gone": "gone", "moved": "at another time", "changed": "other contents"}


class Row(Struct, frozen=True, kw_only=True):
    """How many sends of one step differ in one way for one reason."""

    workflow: str
    step: str
    what: str
    why: str
    certain: int
    uncertain: int


def rows(changes: Sequence[Change]) -> list[Row]:
    """Count what differs by workflow, step, kind and reason."""
    counts: Counter[tuple[str, str, str, str, bool]] = Counter()
    for one in changes:
        why = ", ".join(one.differs) if one.kind == "changed" else one.reason or ""
        counts[one.workflow_id, one.step_id, KINDS[one.kind], why, one.certain] += 1
    names = sorted({key[:4] for key in counts})
    return [
        Row(workflow=workflow, step=step, what=what, why=why,
            certain=counts[workflow, step, what, why, True], uncertain=counts[workflow, step, what, why, False])
        for workflow, step, what, why in names
    ]  # fmt: skip


def line(change: Change) -> bytes:
    """Write a change as a line of NDJSON."""
    return msgspec.json.encode(change) + b"\n"


def page(changes: Sequence[Change], sends: tuple[int, int], title: str) -> str:
    """Write a page that needs nothing else: the totals, the table, and the sends one by one."""
    template = Environment(autoescape=True).from_string(_PAGE)
    return template.render(
        title=title,
        before=counted(sends[0], "message"),
        after=f"{sends[1]:,}",
        rows=[msgspec.structs.asdict(row) for row in rows(changes)],
        changes=[_listed(change) for change in changes[:SHOWN]],
        more=max(len(changes) - SHOWN, 0),
    )


def _listed(change: Change) -> dict[str, str]:
    return {
        "customer": change.customer_id,
        "workflow": change.workflow_id,
        "step": change.step_id,
        "channel": change.channel,
        "what": KINDS[change.kind] + ("" if change.certain else " (uncertain)"),
        "before": change.before or "not sent",
        "after": change.after or "not sent",
        "why": ", ".join(change.differs) or change.reason or "",
    }


_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1d2430 }
  table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; font-size: .9rem }
  th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #dfe3ea; vertical-align: top }
  td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
  .wide { overflow-x: auto }
</style>
<h1>{{ title }}</h1>
<p>{{ before }} went out as recorded; {{ after }} would have gone out under the edited definitions.
{% if rows == empty %}Nothing differs.{% endif %}</p>
{% if rows != empty %}
<p>“Uncertain” are those that rest on opens and clicks which nobody can know: of messages that never went out,
or went out at another time.</p>
<div class="wide"><table>
<tr><th>Workflow<th>Step<th>What<th>Why<th class="n">Certain<th class="n">Uncertain</tr>
{% for row in rows %}<tr><td>{{ row.workflow }}<td>{{ row.step }}<td>{{ row.what }}<td>{{ row.why }}
<td class="n">{{ row.certain }}<td class="n">{{ row.uncertain }}</tr>
{% endfor %}</table></div>
<h2>One by one</h2>
<div class="wide"><table>
<tr><th>Customer<th>Workflow<th>Step<th>Channel<th>What<th>As recorded<th>As edited<th>Why</tr>
{% for one in changes %}<tr><td>{{ one.customer }}<td>{{ one.workflow }}<td>{{ one.step }}<td>{{ one.channel }}
<td>{{ one.what }}<td>{{ one.before }}<td>{{ one.after }}<td>{{ one.why }}</tr>
{% endfor %}</table></div>
{% if more > 0 %}<p>… and {{ more }} more; <code>--output FILE</code> has them all.</p>{% endif %}
{% endif %}
</html>
"""
