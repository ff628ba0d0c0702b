"""What a person wants to see when the purchases of 1997 have been through: tables, a story, and where to go on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.definitions import Definitions, SplitTest, Workflow
from tidings.demo.findings import Findings
from tidings.demo.story import Story
from tidings.demo.words import moment, month_in_words, reason_in_words, share
from tidings.printing import counted
from tidings.tally import Tally

_BARS: Final = "▁▂▃▄▅▆▇█"
_INDENT: Final = (0, 0, 0, 2)


class Pace(Struct, kw_only=True):
    """How long what took, in seconds."""

    kafka_s: float = 0.0
    """Until a Kafka was there."""
    stream_s: float = 0.0
    """From the first event published to the last decision committed."""
    reading_s: float = 0.0
    """Reading the records back, sorting and writing them."""


class Closing(Struct, frozen=True, kw_only=True):
    """What the report needs besides the counts."""

    tally: Tally
    pace: Pace
    workers: int
    partitions: int
    program: str
    folder: Path
    events: Path
    records: Path
    story: Story | None


def show(console: Console, definitions: Definitions, findings: Findings, closing: Closing) -> None:
    """Print the report; into anything but a terminal without the blanks that fill up lines."""
    if console.is_terminal:
        _print(console, definitions, findings, closing)
        return
    with console.capture() as captured:
        _print(console, definitions, findings, closing)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _print(console: Console, definitions: Definitions, findings: Findings, closing: Closing) -> None:
    for title, body in _sections(definitions, findings, closing):
        console.print()
        console.print(Text(title, style="bold"))
        if isinstance(body, Text):
            # Commands stay on one line each, to be copied.
            for line in body.split("\n"):
                console.print(Text("  ").append_text(line), soft_wrap=True)
        else:
            console.print(Padding(body, _INDENT, expand=False))


def _sections(definitions: Definitions, findings: Findings, closing: Closing) -> Iterator[tuple[str, RenderableType]]:
    yield "What was sent", _sends_by_message(definitions, findings)
    yield "When: mails by workflow and month", _sends_by_month(definitions, findings)
    yield "What was not sent, and why", _refusals(definitions, findings)
    for workflow in _by_priority(definitions).values():
        for step in workflow.steps:
            if isinstance(step.configuration, SplitTest) and _was_split(findings, workflow, step.id):
                yield f"{workflow.name}: who got which", _split(findings, workflow, step.id, step.configuration)
    if closing.story is not None:
        story = closing.story
        title = (
            f"One customer: {story.name}, no. {story.customer_id} ({counted(story.orders, 'order')},"
            f" {counted(story.messages, 'mail')}; times in {story.zone})"
        )
        yield title, _story(story)
    yield "How fast", _speed(closing)
    yield "Where to look next", _next(closing)


def _by_priority(definitions: Definitions) -> dict[str, Workflow]:
    ranked = sorted(definitions.workflows.items(), key=lambda entry: (-entry[1].settings.priority, entry[0]))
    return dict(ranked)


def sparkline(values: Sequence[int]) -> str:
    """Draw values as bars, the highest full; nothing is a space."""
    highest = max(values, default=0)
    return "".join(_BARS[(value * len(_BARS) - 1) // highest] if value else " " for value in values)


def _sends_by_message(definitions: Definitions, findings: Findings) -> RenderableType:
    months = findings.months()
    table = _table("Workflow", "Mail", *(_span(months),))
    table.add_column("Mails", justify="right")
    for workflow_id, workflow in _by_priority(definitions).items():
        name = workflow.name
        for template_id in _templates(findings, workflow_id):
            by_month = [findings.sends[workflow_id, template_id, month] for month in months]
            template = definitions.templates.get(template_id)
            mail = template.name if template is not None and template.name else template_id
            table.add_row(name, mail, sparkline(by_month), f"{sum(by_month):,}")
            name = ""
    total = sum(findings.sends.values())
    table.add_section()
    table.add_row("All", "", "", f"{total:,}", style="bold")
    return table


def _templates(findings: Findings, workflow_id: str) -> list[str]:
    counts: Counter[str] = Counter()
    for (workflow, template, _), count in findings.sends.items():
        if workflow == workflow_id:
            counts[template] += count
    return [template for template, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))]


def _span(months: Sequence[str]) -> str:
    if len(months) < 2:  # noqa: PLR2004 -- a span has two ends
        return "By month"
    return f"{month_in_words(months[0])} to {month_in_words(months[-1])}"


def _sends_by_month(definitions: Definitions, findings: Findings) -> RenderableType:
    table = _table("Month")
    for name in (*(workflow.name for workflow in _by_priority(definitions).values()), "All"):
        table.add_column(name, justify="right")
    sums: Counter[tuple[str, str]] = Counter()
    for (workflow_id, _, month), count in findings.sends.items():
        sums[workflow_id, month] += count
    for month in findings.months():
        counts = [sums[workflow_id, month] for workflow_id in _by_priority(definitions)]
        table.add_row(month_in_words(month), *(_number(count) for count in (*counts, sum(counts))))
    return table


def _refusals(definitions: Definitions, findings: Findings) -> RenderableType:
    table = _table("Workflow", "What", "Why", "Reason")
    table.add_column("Times", justify="right")
    for workflow_id, workflow in _by_priority(definitions).items():
        name = workflow.name
        for what, counts in (("didn't begin", findings.refused), ("mail held back", findings.suppressed)):
            for (of, reason), count in counts.most_common():
                if of == workflow_id:
                    table.add_row(name, what, reason_in_words(reason), reason, f"{count:,}")
                    name = ""
    waited, sent = sum(findings.deferred.values()), sum(findings.sends.values())
    note = (
        f"{waited:,} of {counted(sent, 'mail')} ({share(waited, sent)}) waited for a better hour: office hours,"
        " working days, the time of day that people open mails, each in the customer's own zone."
    )
    return Group(table, Text(note)) if table.row_count else Text(f"Nothing was refused. {note}")


def _split(findings: Findings, workflow: Workflow, step_id: str, split: SplitTest) -> RenderableType:
    table = _table("Variant")
    for heading in ("Weight", "Mails", "Share"):
        table.add_column(heading, justify="right")
    weights = sum(variant.weight for variant in split.variants)
    counts = {variant.name: findings.variants[_id(workflow), step_id, variant.name] for variant in split.variants}
    for variant in split.variants:
        count = counts[variant.name]
        asked = f"{100 * variant.weight / weights:.0f} %"
        table.add_row(variant.name, asked, f"{count:,}", share(count, sum(counts.values())))
    return table


def _was_split(findings: Findings, workflow: Workflow, step_id: str) -> bool:
    return any((of, split) == (_id(workflow), step_id) for of, split, _ in findings.variants)


def _id(workflow: Workflow) -> str:
    return workflow.id or workflow.name


def _story(story: Story) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="cyan")
    table.add_column()
    for at in story.moments:
        lines = [Text(line, style="bold") for line in at.did]
        lines += [Text(f"→ {line}", style=_style(line)) for line in at.followed]
        for number, line in enumerate(lines):
            table.add_row(moment(at.at, story.zone) if number == 0 else "", line)
    return table


def _style(line: str) -> str:
    if ": mail " in line:
        return "green"
    return "yellow" if "doesn't begin" in line or "no mail" in line else "dim"


def _speed(closing: Closing) -> RenderableType:
    tally, pace = closing.tally, closing.pace
    seconds = max(pace.stream_s, 0.001)
    records = tally.sends + tally.decisions
    return Text(
        f"{counted(tally.events, 'event')} became {counted(tally.sends, 'mail')} and"
        f" {counted(tally.decisions, 'recorded decision')} in"
        f" {seconds:.1f} s:\n{tally.events / seconds:,.0f} events in and {records / seconds:,.0f} records out a second,"
        " through Kafka, exactly once, on this machine.\n"
        "Measured from the first event published to the last decision committed: publisher, Kafka, ingest,\n"
        f"{counted(closing.workers, 'worker')}, {counted(closing.partitions, 'partition')}."
        f" Before: {pace.kafka_s:.1f} s until Kafka was there."
        f" After: {pace.reading_s:.1f} s to read the records back in order."
    )


def _next(closing: Closing) -> RenderableType:
    tidings, folder, events, records = closing.program, closing.folder, closing.events, closing.records
    alone = events.with_name("simulated.ndjson")
    places = (
        ("The workflows and templates, to change and run again:", f"{folder}"),
        ("Every mail and every decision, one JSON object a line:", f"{records}"),
        ("The same without Kafka. The records are the same, byte for byte:",
         f"{tidings} simulate --definitions {folder} --events {events} --output {alone}",
         f"cmp {alone} {records}"),
        ("The topics, left for you to look at with any Kafka tool:", f"{tidings} demo --customers 1000 --keep"),
        ("Your own events and workflows:", f"{tidings} run --definitions DIR --events FILE"),
        ("How it works, and what a crash at each point costs:", "ARCHITECTURE.md"),
    )  # fmt: skip
    lines = Text()
    for what, *where in places:
        lines.append(f"{what}\n")
        lines.append("".join(f"  {place}\n" for place in where), style="cyan")
    lines.rstrip()
    return lines


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading)
    return table


def _number(count: int) -> str:
    return f"{count:,}" if count else "-"
