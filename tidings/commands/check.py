"""`tidings check`: the tests of a folder, and laws that hold for whatever may happen to its workflows."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from journeys.catalogue import Catalogue, compile_catalogue
from schemas.definitions import Definitions
from tidings.checking import run_test
from tidings.clock import fresh_bytes
from tidings.commands.options import ValidFolder, load_valid_folder

DEFAULT_HISTORIES: Final = 1_000


def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with definitions and their tests.")],
    histories: Annotated[
        int, typer.Option("--histories", metavar="N", min=0, help="How many generated histories to try.")
    ] = DEFAULT_HISTORIES,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Try the same histories as an earlier run.")
    ] = None,
) -> None:
    """Run a folder's tests (`kind: test`), and try its workflows on generated histories; exit code 1 on failure."""
    loaded = load_valid_folder(folder)
    definitions = loaded.definitions
    catalogue = compile_catalogue(definitions, number=1)
    console = Console(highlight=False, soft_wrap=True)
    tested = _run_tests(console, loaded, catalogue)
    number = int.from_bytes(fresh_bytes(4), "big") if seed is None else seed
    if not (_try_histories(console, definitions, catalogue, histories, number) and tested):
        raise typer.Exit(1)


def _run_tests(console: Console, loaded: ValidFolder, catalogue: Catalogue) -> bool:
    outcomes = [run_test(test, catalogue, loaded.definitions) for test in loaded.tests]
    for outcome in outcomes:
        style, mark = ("red", "failed") if outcome.complaints else ("green", "passed")
        console.print(Text(mark, style=style), Text(f"  {outcome.test.id}"), sep="")
        for complaint in outcome.complaints:
            console.print(Text(f"          {complaint}"))
    failed = sum(1 for outcome in outcomes if outcome.complaints)
    if not outcomes:
        console.print(Text("No tests: a document with `kind: test` is one.", style="yellow"))
    else:
        console.print(Text(f"{len(outcomes)} tests, {failed} failed.", style="bold red" if failed else "bold green"))
    return not failed


def _try_histories(
    console: Console, definitions: Definitions, catalogue: Catalogue, histories: int, number: int
) -> bool:
    if not histories or not definitions.workflows:
        return True
    # Only this command draws histories, and Hypothesis would double the time that every other one takes to start.
    from tidings.histories import find_failure  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("histories", total=histories)
        failure = find_failure(
            definitions, catalogue, histories=histories, number=number, tried=lambda: progress.advance(bar)
        )
    if failure is None:
        console.print(Text(f"{histories:,} generated histories: every law holds (seed {number}).", style="bold green"))
        return True
    console.print(Text(f"A generated history breaks a law (seed {number}):", style="bold red"))
    for complaint in failure.complaints:
        console.print(Text(f"  {complaint}", style="red"))
    console.print(Text("The shortest history that shows it, for `tidings simulate`:"))
    console.out(failure.history.decode(), end="")
    return False
