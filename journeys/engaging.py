"""Which workflows can go another way because a message was opened, clicked or answered.

Said of more than is true, never of less: what a definition names is looked for in its text. Opens and clicks are
activity and give scores; segments and stages may be made of them; and best hours are counted from them.
"""

from typing import Final

import msgspec

from journeys.catalogue import Catalogue, CompiledWorkflow
from schemas.events import ENGAGEMENT_TYPES

_WORDS: Final = tuple(
    word.encode()
    for word in (
        *sorted(ENGAGEMENT_TYPES), "engage", "score", "activity", "inactiv", "segment", "lifecycle", "stage",
    )
)  # fmt: skip


def reads_engagement(catalogue: Catalogue, workflow_id: str) -> bool:
    """Tell whether a workflow, as it stands or as an experiment varies it, can depend on engagement."""
    as_it_stands = catalogue.workflows.get(workflow_id)
    varied = [workflow for workflow in catalogue.overrides.values() if workflow.id == workflow_id]
    return any(_reads(workflow) for workflow in (as_it_stands, *varied) if workflow is not None)


def _reads(workflow: CompiledWorkflow) -> bool:
    text = msgspec.json.encode(workflow.definition)
    if any(word in text for word in _WORDS):
        return True
    steps = [part for step in workflow.steps.values() for part in (step, *step.parts.values())]
    return any(step.timing is not None and step.timing.optimize for step in steps)
