"""Checks of what a message asks for together with what the settings forbid: timings that could never hold."""

from collections.abc import Iterator, Sequence
from typing import Final

from journeys.quiet_hours import keep_quiet, open_week
from journeys.timing import TimingProblem, can_hold, compile_timing
from schemas.decisions import Channel
from schemas.definitions import ChannelConfiguration, MessageConfiguration, QuietHours, WorkflowSettings
from schemas.problems import Problem, Spot, shown
from schemas.reading import Node

_CLOCK: Final = 'a local time such as "22:00", from 00:00 to 23:59'


def check_quiet_hours(quiet: QuietHours, spot: Spot) -> Iterator[Problem]:
    """Check the quiet hours of the settings alone."""
    for name in ("start", "end"):
        try:
            open_week(QuietHours(start=getattr(quiet, name), end="00:00"))
        except TimingProblem:
            yield spot.under(name).wrong(f"is {shown(getattr(quiet, name))}", _CLOCK)
    for name, right in (("days", "at least one of mon to sun"), ("channels", "at least one channel")):
        if not getattr(quiet, name):
            yield spot.under(name).wrong("is empty", right)
    if _are_sound(quiet) and not any(open_week(quiet)):
        whole = "a start that isn't the end, or fewer days"
        yield spot.wrong("leave no minute of the week, so no marketing message could ever be sent", whole)


def check_timings(nodes: Sequence[Node], file: str, quiet: QuietHours | None) -> Iterator[Problem]:
    """Check every message of one workflow against the quiet hours of the settings.

    Args:
        nodes: the sound parts of the workflow.
        file: where it stands.
        quiet: the quiet hours, sound or not; None where there are none.
    """
    if quiet is None or not _are_sound(quiet) or not any(open_week(quiet)):
        return
    usual = next((node.value.category for node in nodes if isinstance(node.value, WorkflowSettings)), "marketing")
    for node in nodes:
        message = node.value
        if not isinstance(message, ChannelConfiguration | MessageConfiguration):
            continue
        if (message.category or usual) == "transactional":
            continue
        try:
            timing = compile_timing(message.timing)
        except TimingProblem:
            continue
        if not any(can_hold(keep_quiet(timing, quiet, channel)) for channel in _channels(message)):
            yield (
                Spot(file, node.path)
                .under("timing")
                .wrong(
                    f"holds only within the quiet hours ({quiet.start} to {quiet.end}), so nothing could ever be sent",
                    "a time outside of them, or category: transactional",
                )
            )


def _channels(message: ChannelConfiguration | MessageConfiguration) -> tuple[Channel, ...]:
    return (message.channel,) if isinstance(message, ChannelConfiguration) else tuple(message.templates)


def _are_sound(quiet: QuietHours) -> bool:
    try:
        open_week(quiet)
    except TimingProblem:
        return False
    return True
