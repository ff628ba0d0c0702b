"""One seed, judged: what the application on the reduced Kafka gives, beside what `simulate` gives for the same file."""

from collections import Counter
from functools import cache

import msgspec

from journeys.catalogue import Catalogue
from tests.journey import compiled
from tests.simulation.application import Agents, Application, Broken, Published, Verdict
from tests.simulation.test_identity import DEFINITIONS, World, simulated, states_of

SHOWN = 5


@cache
def catalogue() -> Catalogue:
    """Return the definitions under which all seeds run."""
    return compiled(*DEFINITIONS)


def judged(seed: int, agents: Agents | None = None) -> Verdict:
    """Run a seed and compare it with `simulate`.

    Raises:
        Broken: something is missing, doubled or different, or nobody came to an end; the message says which seed.
    """
    world = World(seed, orderly=True)
    published = [
        Published(line=line, value=msgspec.json.encode(document))
        for line, document in zip(world.read(), world.lines, strict=True)
    ]
    try:
        verdict = Application(catalogue(), published, world.until, seed, agents).run()
    except Broken as broken:
        broken.args = (f"seed {seed}: {broken}",)
        raise
    wanted = simulated(world, catalogue())
    if verdict.records != wanted:
        there, expected = Counter(verdict.records), Counter(wanted)
        different = Broken(f"seed {seed}: {_in_words(there, expected)}")
    elif verdict.states != states_of(world, catalogue()):
        different = Broken(f"seed {seed}: states differ from those of `simulate`")
    else:
        return verdict
    different.add_note("\n".join(verdict.trace))
    raise different


def _in_words(there: Counter[bytes], wanted: Counter[bytes]) -> str:
    doubled = sum(count - 1 for record, count in there.items() if count > 1 and record in wanted)
    missing, strange = [*(wanted - there)], [record for record in there if record not in wanted]
    some = [f"  missing {record.decode()[:300].rstrip()}" for record in missing[:SHOWN]]
    some += [f"  not of `simulate` {record.decode()[:300].rstrip()}" for record in strange[:SHOWN]]
    said = f"{len(missing)} missing, {doubled} doubled, {len(strange)} different"
    if not (missing or doubled or strange):
        said = "the same records in another order"
    return "\n".join([said, *some])
