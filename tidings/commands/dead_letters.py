"""`tidings dead-letters`: what couldn't be read, why, and what becomes of it."""

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from agents.dead_letters import Outcome, deed_of, read_letters, read_settled, settle
from schemas.dead_letters import Deed, Letter, Settled
from schemas.errors import TidingsError
from schemas.events import MAX_EVENT_BYTES
from schemas.instants import Millis
from streams.connection import Connection
from tidings.clock import wall_ms
from tidings.commands.moments import AtOption, read_at
from tidings.commands.processes import reached
from tidings.letters import (
    Choice,
    grouped,
    instant_in_words,
    is_still_wrong,
    read_since,
    state_in_words,
    value_in_lines,
)
from tidings.printing import printable
from tidings.settings import process_environment, read_settings
from tidings.usage import WrongUsage

IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="The name that `list` gives it: topic/partition/offset.", show_default=False),
]
IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]…", help="Single ones, by name.", show_default=False)
]
ClassOption = Annotated[str | None, typer.Option("--class", metavar="CLASS", help="Of this error class.")]
TopicOption = Annotated[str | None, typer.Option("--topic", metavar="TOPIC", help="Published on this topic.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="From then on: RFC 3339, or how long ago: 30m, 24h, 7d.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every open one.")]
AgainOption = Annotated[bool, typer.Option("--again", help="Also what was put back or discarded before.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
_DONE: Final = {"retried": "put back", "discarded": "discarded"}
_DEFAULT_LIMIT: Final = 20

app = typer.Typer(
    no_args_is_help=True, help="Look at public records that were no events; put them back, or lay them aside."
)


class _Desk(Struct, frozen=True):
    """Where the letters are, and what was done with which."""

    connection: Connection
    prefix: str
    settled: dict[str, Settled]

    def letters(self, choice: Choice) -> Iterator[Letter]:
        return (one for one in read_letters(self.connection, self.prefix) if choice.holds(one, self.prefix))

    def is_open(self, letter: Letter) -> bool:
        return deed_of(letter, self.settled) is None


@app.command("list")
def list_letters(
    error_class: ClassOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show so many at most.")] = _DEFAULT_LIMIT,
    each: Annotated[bool, typer.Option("--each", help="One line a letter, newest first, instead of groups.")] = False,
    settled: Annotated[bool, typer.Option("--settled", help="Also those put back or discarded.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say what lies in the dead letters, by error class and reason, with counts and the newest of each."""
    choice = Choice(error_class=error_class, topic=topic, since=read_since(since, wall_ms()))
    desk = _open_desk()
    hidden = 0
    found: list[Letter] = []
    for letter in desk.letters(choice):
        if settled or desk.is_open(letter):
            # What a letter holds isn't shown here, and a million of them may be large.
            found.append(msgspec.structs.replace(letter, value=(letter.value or b"")[:0]) if not each else letter)
        else:
            hidden += 1
    rows = _rows_of_each(found, desk) if each else _rows_of_groups(found)
    if as_json:
        for row, _ in rows[:limit]:
            sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        return
    console = Console(highlight=False, soft_wrap=True)
    for _, lines in rows[:limit]:
        console.print(*(Text(line) for line in lines), sep="\n")
    more = f", {len(rows) - limit:,} more {'letters' if each else 'groups'} (--limit)" if len(rows) > limit else ""
    aside = f"; {hidden:,} put back or discarded (--settled)" if hidden else ""
    console.print(f"{_count(len(found))}{more}{aside}.")
    if open_ones := [letter for letter in found if desk.is_open(letter)]:
        console.print(*map(Text, _what_to_do(max(open_ones, key=lambda letter: letter.at))), sep="\n")


def _what_to_do(newest: Letter) -> list[str]:
    name = shlex.quote(printable(newest.id))
    return [
        f"  tidings dead-letters show {name}     what it holds",
        f"  tidings dead-letters retry {name}    put it back, once what was wrong is mended",
        f"  tidings dead-letters discard {name}  lay it aside",
    ]


def _rows_of_groups(found: list[Letter]) -> list[tuple[dict[str, object], list[str]]]:
    rows = []
    for group in grouped(found):
        newest = instant_in_words(group.newest.at)
        topics = sorted(group.topics)
        row: dict[str, object] = {
            "count": group.count, "error_class": group.error_class, "reason": group.reason, "topics": topics,
            "newest_at": newest, "newest_id": group.newest.id,
        }  # fmt: skip
        head = f"{group.count:>9,}  {printable(group.error_class)}: {printable(group.reason)}"
        rows.append((row, [head, f"           newest {newest}: {printable(group.newest.id)}"]))
    return rows


def _rows_of_each(found: list[Letter], desk: _Desk) -> list[tuple[dict[str, object], list[str]]]:
    rows = []
    for letter in sorted(found, key=lambda one: (-one.at, one.topic, one.partition, one.offset)):
        row: dict[str, object] = {
            "id": letter.id, "at": instant_in_words(letter.at), "error_class": letter.error_class,
            "reason": letter.reason, "bytes": len(letter.value or b""), "state": state_in_words(letter, desk.settled),
        }  # fmt: skip
        words = f"{letter.error_class}: {letter.reason}"
        state = "" if desk.is_open(letter) else f" ({row['state']})"
        rows.append((row, [f"{row['at']}  {printable(letter.id)}  {printable(words)}{state}"]))
    return rows


@app.command("show")
def show_letter(
    letter_id: IdArgument,
    whole: Annotated[bool, typer.Option("--whole", help="All of it, however long.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Where its bytes go, unchanged; to be edited for `retry --file`."
        ),
    ] = None,
) -> None:
    """Show one dead letter: where it came from, what is wrong with it, and what it holds."""
    desk = _open_desk()
    letter = _the_one(desk, letter_id)
    console = Console(highlight=False, soft_wrap=True)
    rows = {
        "id": letter.id,
        "published": instant_in_words(letter.at),
        "error": f"{letter.error_class}: {letter.reason}",
        "state": state_in_words(letter, desk.settled),
        "key": "none" if letter.key is None else repr(letter.key)[2:-1],
        "bytes": f"{len(letter.value or b''):,}",
    }
    rows |= {f"header {name}": "none" if text is None else repr(text)[2:-1] for name, text in letter.headers}
    for name, text in rows.items():
        console.print(Text(f"{printable(name)}: ", style="bold"), Text(printable(text)), sep="")
    console.print()
    if output is None:
        console.print(Text("\n".join(value_in_lines(letter.value, None) if whole else value_in_lines(letter.value))))
        return
    try:
        output.write_bytes(letter.value or b"")
    except OSError as error:
        msg = f"can't write the letter to {output}: {error.strerror}"
        raise TidingsError(msg) from None
    console.print(f"Its bytes are in {output}; put back what you make of them with")
    console.print(f"    tidings dead-letters retry {printable(letter.id)} --file {output}")


@app.command("retry")
def retry_letters(
    letter_ids: IdsArgument = None,
    error_class: ClassOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    everything: AllOption = False,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Put back what this file holds, in place of one ID.")
    ] = None,
    again: AgainOption = False,
    yes: YesOption = False,
    at: AtOption = None,
) -> None:
    """Put dead letters back on their public topics: same key, value, headers and timestamp, each once.

    One on which the rules raised releases its customer: it has its turn once more, and then what came for her since.
    """
    choice = _choice("retry", letter_ids, error_class, topic, since, everything=everything)
    edited = None if file is None else _read_edited(file, choice)
    _settle("retried", choice, again=again, edited=edited, yes=yes, at=read_at(at))


@app.command("discard")
def discard_letters(
    letter_ids: IdsArgument = None,
    error_class: ClassOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    everything: AllOption = False,
    yes: YesOption = False,
    at: AtOption = None,
) -> None:
    """Lay dead letters aside: `list` shows them no more. They stay in the topic until its retention is over.

    One on which the rules raised releases its customer without it: only what came for her since has its turn.
    """
    choice = _choice("discard", letter_ids, error_class, topic, since, everything=everything)
    _settle("discarded", choice, yes=yes, at=read_at(at))


class _Picked(Struct):
    """What a choice has found: which letters, and what is to be said of them."""

    letters: set[tuple[str, str]]
    classes: Counter[str]
    kept: set[str]
    """The ids of all letters that there are."""
    found: set[str]
    settled_before: int = 0
    still_wrong: int = 0


def _pick(desk: _Desk, choice: Choice, edited: bytes | None, *, again: bool) -> _Picked:
    picked = _Picked(letters=set(), classes=Counter(), kept=set(), found=set())
    for letter in read_letters(desk.connection, desk.prefix):
        picked.kept.add(letter.id)
        if not choice.holds(letter, desk.prefix):
            continue
        picked.found.add(letter.id)
        if not again and not desk.is_open(letter):
            picked.settled_before += 1
            continue
        if edited is not None and letter.is_of_log:
            msg = f"{printable(letter.id)} is of the customer log, which is never changed: retry it without --file"
            raise TidingsError(msg)
        wrong = is_still_wrong(letter, desk.prefix, letter.value if edited is None else edited)
        if edited is not None and wrong is not None:
            msg = f"what the file holds is no event either: {printable(wrong)}"
            raise TidingsError(msg)
        picked.still_wrong += wrong is not None
        picked.letters.add((letter.id, letter.digest))
        picked.classes[letter.error_class] += 1
    return picked


def _settle(
    deed: Deed, choice: Choice, *, yes: bool, again: bool = False, edited: bytes | None = None, at: Millis | None
) -> None:  # fmt: skip
    desk = _open_desk()
    picked = _pick(desk, choice, edited, again=again)
    _require_found(choice, picked.found)
    if picked.settled_before:
        hint = "" if deed == "discarded" else "; --again puts back once more"
        typer.echo(f"{_count(picked.settled_before)} put back or discarded before{hint}.")
    if not picked.letters:
        typer.echo(f"Nothing to be {_DONE[deed]}.")
        raise typer.Exit(1 if choice.ids else 0)
    if deed == "retried" and picked.still_wrong:
        typer.echo(f"{_count(picked.still_wrong)} can't be read as it stands, and will come back; see --file.")
    if not choice.ids:
        by_class = ", ".join(f"{count:,} {printable(name)}" for name, count in picked.classes.most_common())
        _ask(f"{_count(len(picked.letters))} ({by_class}) to be {_DONE[deed]}.", yes=yes)
    outcome = settle(
        desk.connection, desk.prefix, (one for one in desk.letters(choice) if (one.id, one.digest) in picked.letters),
        deed, wall_ms(), again=again, edited=edited, gone=desk.settled.keys() - picked.kept, at=at,
    )  # fmt: skip
    _report(desk, deed, outcome)


def _report(desk: _Desk, deed: Deed, outcome: Outcome) -> None:
    typer.echo(f"{_count(outcome.done)} {_DONE[deed]}.")
    if outcome.settled_before:
        typer.echo(f"{_count(outcome.settled_before)} settled by somebody else meanwhile.")
    if outcome.without_topic:
        msg = f"{_count(outcome.without_topic)} of no topic of {desk.prefix}… that things can be put back on"
        raise TidingsError(msg)


def _choice(
    verb: str, ids: list[str] | None, error_class: str | None, topic: str | None, since: str | None, *, everything: bool
) -> Choice:
    choice = Choice(
        ids=frozenset(ids or ()), error_class=error_class, topic=topic, since=read_since(since, wall_ms())
    )  # fmt: skip
    if choice.is_all and not everything:
        msg = f"say what to {verb}: IDs, --class, --topic, --since, or --all (`tidings dead-letters list` shows them)"
        raise WrongUsage(msg)
    if not choice.is_all and everything:
        msg = "--all is everything: leave out what else narrows it down, or --all"
        raise WrongUsage(msg)
    if choice.ids and (error_class or topic or since):
        msg = "IDs say which are meant; leave out --class, --topic and --since"
        raise WrongUsage(msg)
    return choice


def _read_edited(file: Path, choice: Choice) -> bytes:
    if len(choice.ids) != 1:
        msg = "--file stands for one letter: name its ID"
        raise WrongUsage(msg)
    try:
        with file.open("rb") as opened:
            value = opened.read(MAX_EVENT_BYTES + 1)
    except OSError as error:
        msg = f"can't read {file}: {error.strerror}"
        raise TidingsError(msg) from None
    # The line end that editors leave is no part of what a producer would have written.
    return value if value.startswith(b"\0") else value.rstrip(b"\r\n")


def _require_found(choice: Choice, found: Iterable[str]) -> None:
    missing = sorted(choice.ids.difference(found))
    if missing:
        named = ", ".join(printable(one) for one in missing[:5])
        msg = f"there is no dead letter {named} (any more); `tidings dead-letters list --each --settled` names them"
        raise TidingsError(msg)


def _the_one(desk: _Desk, letter_id: str) -> Letter:
    choice = Choice(ids=frozenset((letter_id,)))
    found = list(desk.letters(choice))
    _require_found(choice, [letter.id for letter in found])
    return found[-1]


def _open_desk() -> _Desk:
    settings = read_settings(process_environment())
    connection, prefix = reached(settings), settings.topic_prefix
    return _Desk(connection, prefix, read_settled(connection, prefix))


def _ask(what: str, *, yes: bool) -> None:
    typer.echo(what)
    if yes:
        return
    if not sys.stdin.isatty():
        msg = "say --yes if that is meant"
        raise TidingsError(msg)
    if not typer.confirm("Go on?", default=False):
        raise typer.Exit(1)


def _count(number: int) -> str:
    return "1 dead letter" if number == 1 else f"{number:,} dead letters"
