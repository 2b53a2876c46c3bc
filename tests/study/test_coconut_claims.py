"""The claims of silent steps, judged again from their published numbers; and what would not bear them out."""

import json
from pathlib import Path

from tacit.study.claims.arithmetic_stages import CLAIM as STAGES
from tacit.study.claims.superposition import CLAIM
from tacit.study.intervals import Outcome

RESULTS = Path(__file__).parents[2] / "docs/results"


def published(**changed: float) -> list[Outcome]:
    """The runs of the page; `changed` gives an arm another accuracy at four hops."""
    found = []
    for run in json.loads((RESULTS / "superposition.json").read_text())["runs"]:
        arm, seed, metrics = run["arm"], run["seed"], run["metrics"]
        found.append(Outcome(arm, seed, metrics[CLAIM.metric]))
        found += [Outcome(f"{arm}: {name}", seed, metrics[name]) for name in CLAIM.listed if name != "accuracy/4 hops"]
        found.append(Outcome(f"{arm}: accuracy/4 hops", seed, changed.get(arm, metrics["accuracy/4 hops"])))
    return found


def test_controls_at_chance_must_have_learned_what_is_on_offer():
    """A control that names neither candidate is at chance because it learned nothing. Twin: the published ones."""
    page = json.loads((RESULTS / "superposition.json").read_text())
    verdict = CLAIM.rule.judge(published())
    assert (verdict.word, verdict.sentence) == (page["verdict"], page["sentence"]) and verdict.word == "match"
    for arm in ("pause", "no_cot"):
        assert CLAIM.rule.judge(published(**{arm: 1 / 24})).word == "partly"


def test_bounds_stand_in_the_words():
    assert all(bound in CLAIM.expected for bound in (".97", ".60", ".40"))
    assert all(bound in STAGES.expected for bound in (".70", ".50"))
    for name, claim in (("superposition", CLAIM), ("arithmetic-stages", STAGES)):
        assert claim.expected in (RESULTS / f"{name}.md").read_text()
