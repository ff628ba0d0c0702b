"""10,000 spoilt definition files: `tidings validate` says what is wrong, and never shows a traceback.

`make spoilt` tries them all; the suite tries the first few hundred. A case is its seed, and a failure names it.
"""

import shutil
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from schemas.events import Json
from tests.property.spoiling import spoilt
from tests.property.test_validation import EVERYTHING
from tidings.cli import app
from tidings.definitions_folder import load_folder

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
EVERY_FOLDER: Final = ("", *sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
"""The first stands for the documents that use everything, in a file of their own."""


def originals(name: str, folder: Path) -> tuple[dict[str, bytes], dict[str, list[Json]]]:
    """Return the files of an example, and what each holds."""
    if not name:
        return {"all.json": b"[]"}, {"all.json": list(EVERYTHING)}
    files = {path.name: path.read_bytes() for path in sorted((EXAMPLES / name).glob("*.yaml"))}
    values: dict[str, list[Json]] = {}
    for file, content in files.items():
        alone = folder / "alone"
        alone.mkdir()
        (alone / file).write_bytes(content)
        values[file] = load_folder(alone).documents
        shutil.rmtree(alone)
    return files, values


def refusal(folder: Path) -> str | None:
    """Validate a folder as the program does; return what is wrong with how it went."""
    result = CliRunner().invoke(app, ["validate", str(folder)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"raised {result.exception!r}"
    last = result.output.rstrip().rsplit("\n", 1)[-1]
    if result.exit_code == 0:
        return None if last.startswith("Valid: ") else f"is valid, and says {last!r}"
    if result.exit_code != 1 or " problem" not in last or "expected: " not in result.output:
        return f"ends with {result.exit_code}, and says {last!r}"
    return None if all(line.isprintable() for line in result.output.split("\n")) else "prints what isn't printable"


@pytest.mark.timeout(14_400)  # ten minutes of computing, on a machine that others use as well
def test_a_spoilt_file_is_refused_with_reasons_or_valid_and_never_raises(
    tmp_path: Path, spoilt_cases: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a file holds, the answer is "Valid", or problems that each say what would be right."""
    worlds = [originals(name, tmp_path) for name in EVERY_FOLDER]
    wrong: dict[int, str] = {}
    for seed in range(spoilt_cases):
        files, values = worlds[seed % len(worlds)]
        folder = tmp_path / "spoilt"
        folder.mkdir()
        name, content = spoilt(seed, files, values)
        for file, original in files.items():
            if Path(file).stem != Path(name).stem:
                (folder / file).write_bytes(original)
        (folder / name).write_bytes(content)
        found = refusal(folder)
        if found is not None:
            wrong[seed] = found
        shutil.rmtree(folder)
    with capsys.disabled():
        print(f" seeds 0 to {spoilt_cases - 1} ", end="")  # noqa: T201 -- which cases were tried
    assert not wrong
