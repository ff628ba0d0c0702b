"""What README shows is right: its workflow is valid, and its links lead to files that are there."""

import re
from pathlib import Path

from tidings.definitions_folder import load_folder

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_workflow_of_the_readme_is_valid_as_it_stands(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "reminder.yaml").write_text(shown)
    result = load_folder(tmp_path)
    assert (result.problems, result.warnings) == ((), ())
    assert result.definitions is not None
    assert list(result.definitions.workflows) == ["a-reminder-of-the-basket"]


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
