"""One seed, judged: what the application on the reduced Kafka gives, beside what `simulate` gives for the same file."""

import random  # noqa: TID251 -- seeded
from collections import Counter
from functools import cache

import msgspec

from journeys.catalogue import Catalogue
from journeys.quiet import NEVER_QUIET
from tests.journey import compiled
from tests.simulation.application import Agents, Application, Broken, Published, Verdict
from tests.simulation.test_identity import DEFINITIONS, World, simulated, states_of

SHOWN = 5


@cache
def catalogue() -> Catalogue:
    """Return the definitions under which all seeds run."""
    return compiled(*DEFINITIONS)


@cache
def unquiet_catalogue() -> Catalogue:
    """Return the same, under which every event comes to `decide`."""
    return msgspec.structs.replace(catalogue(), quiet=NEVER_QUIET)


def judged(seed: int, agents: Agents | None = None, *, with_defects: bool = False) -> Verdict:
    """Run a seed and compare it with `simulate`.

    Args:
        seed: of the world, and of what happens in it.
        agents: what runs; None: the real ones.
        with_defects: whether the rules, which somebody has broken, are to raise for some of the events.

    Raises:
        Broken: something is missing, doubled or different, or nobody came to an end; the message says which seed.
    """
    world = World(seed, orderly=True)
    rules = unquiet_catalogue() if with_defects else catalogue()
    if with_defects:
        _spoil(world, seed)
    published = [
        Published(line=line, value=msgspec.json.encode(document))
        for line, document in zip(world.read(), world.lines, strict=True)
    ]
    try:
        verdict = Application(rules, published, world.until, seed, agents).run()
    except Broken as broken:
        broken.args = (f"seed {seed}: {broken}",)
        raise
    wanted = simulated(world, rules)
    # When somebody who was set aside is absorbed, her timers come late, and stand elsewhere in the file.
    is_the_same = Counter(verdict.records) == Counter(wanted) if with_defects else verdict.records == wanted
    if not is_the_same:
        there, expected = Counter(verdict.records), Counter(wanted)
        different = Broken(f"seed {seed}: {_in_words(there, expected)}")
    elif not with_defects and verdict.states != states_of(world, catalogue()):
        different = Broken(f"seed {seed}: states differ from those of `simulate`")
    else:
        return verdict
    different.add_note("\n".join(verdict.trace))
    raise different


def _spoil(world: World, seed: int) -> None:
    chance = random.Random(f"{seed} defects")  # noqa: S311 -- not a secret
    for line in world.lines:
        properties = line.setdefault("properties", {})
        assert isinstance(properties, dict)
        if chance.random() < 0.1:
            properties["defect"] = True


def _in_words(there: Counter[bytes], wanted: Counter[bytes]) -> str:
    doubled = sum(count - 1 for record, count in there.items() if count > 1 and record in wanted)
    missing, strange = [*(wanted - there)], [record for record in there if record not in wanted]
    some = [f"  missing {record.decode()[:300].rstrip()}" for record in missing[:SHOWN]]
    some += [f"  not of `simulate` {record.decode()[:300].rstrip()}" for record in strange[:SHOWN]]
    said = f"{len(missing)} missing, {doubled} doubled, {len(strange)} different"
    if not (missing or doubled or strange):
        said = "the same records in another order"
    return "\n".join([said, *some])
