"""ProntoQA-like deduction: a made-up ontology, one individual, and a claim about it that is true or false.

Each problem has one chain of kinds to climb and one property to inherit. Other properties, kinds above and below the
proof, and a kind outside it with the opposite property do not help, so that the claim's words alone decide nothing.
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field

from tacit.example import Example
from tacit.tasks.base import Generated
from tacit.tasks.prosqa import CONCEPTS, ENTITIES

# One family for each property that a chain can have; kinds of one chain never share a family, so no two facts clash.
FAMILIES = (
    ("blue", "red", "brown", "orange", "green"),
    ("small", "large", "tiny"),
    ("opaque", "transparent"),
    ("hot", "cold", "temperate"),
    ("shy", "bold"),
    ("sweet", "sour", "bitter", "spicy"),
    ("kind", "mean", "angry"),
    ("wooden", "metallic", "liquid"),
    ("loud", "muffled", "dull"),
    ("floral", "fruity", "earthy"),
    ("fast", "slow"),
    ("happy", "nervous", "calm"),
)


class Rule(NamedTuple):
    """Every `kind` is (not) `other`; `other` is a kind or a property."""

    kind: int
    other: int | str
    holds: bool = True


class Ontology(NamedTuple):
    """What is to be solved. Kinds are numbers until a pose names them."""

    rules: list[Rule]
    proof: list[Rule]
    """The rules from the individual's kind to the property, in order."""
    claim: bool
    """Whether the claim says that the individual has the property or that it has not."""


class ProntoQA(Generated):
    """True or false: is NAME (not) such? A step is a pair: what is known of NAME, and the rule used next."""

    extractor: str = "choice@1"
    """How the answer is found in what the model wrote."""
    hops: int = Field(default=5, ge=1, le=8)
    """Rules in the proof; a problem has one step more."""
    train_rows: int = Field(default=9_000, ge=1)
    """Examples of the train split."""
    valid_rows: int = Field(default=200, ge=1)
    """Examples of the valid split."""
    test_rows: int = Field(default=800, ge=1)
    """Examples of the test split."""

    def problem(self, rng: np.random.Generator) -> Ontology:
        below, above = int(rng.integers(0, 3)), int(rng.integers(0, 3))
        length = below + self.hops + above
        chain = list(range(length))
        proven = below + self.hops - 1
        families = [FAMILIES[index] for index in rng.permutation(len(FAMILIES)).tolist()]
        holds = bool(rng.random() < 0.5)
        asked = _one_of(families[0], rng)
        rules = [Rule(kind, kind + 1) for kind in chain[:-1]]
        rules.append(Rule(proven, asked, holds))
        proof = [*rules[below:proven], rules[-1]]
        others = [kind for kind in chain if kind != proven and rng.random() < 0.6]
        for kind, family in zip(others, families[1:]):
            rules.append(Rule(kind, _one_of(family, rng), bool(rng.random() < 0.5)))
        outside = length
        rules.append(Rule(outside, asked, not holds))
        if above and rng.random() < 0.5:
            # Only above the proof: lower down it would inherit what it is said not to have.
            rules.append(Rule(outside, int(rng.integers(proven + 1, length))))
        return Ontology(rules, proof, bool(rng.random() < 0.5))

    def pose(self, problem: Ontology, rng: np.random.Generator) -> Example:
        kinds = [CONCEPTS[index] for index in rng.permutation(len(CONCEPTS)).tolist()]
        name = ENTITIES[int(rng.integers(len(ENTITIES)))]
        told = {rule: _tell(rule, kinds, rng) for rule in problem.rules}
        order = rng.permutation(len(problem.rules)).tolist()
        last = problem.proof[-1]
        known = [f"{name} is {_article(kinds[rule.kind])}." for rule in problem.proof]
        context = " ".join([told[problem.rules[index]] for index in order] + known[:1])
        pairs = [f"{fact} {told[rule]}" for fact, rule in zip(known, problem.proof)]
        conclusion = f"{name} is {'' if last.holds else 'not '}{last.other}."
        claim = f"{name} is {'' if problem.claim else 'not '}{last.other}."
        return Example(
            question=f"{context} True or false: {claim}",
            steps=(*pairs, conclusion),
            answer=str(problem.claim == last.holds),
        )

    def choices(self, example: Example) -> tuple[str, str]:
        return "True", "False"


def _tell(rule: Rule, kinds: list[str], rng: np.random.Generator) -> str:
    negation = "" if rule.holds else "not "
    kind = kinds[rule.kind]
    form = int(rng.integers(3))
    if form == 2:
        other = rule.other if isinstance(rule.other, str) else f"{kinds[rule.other]}es"
        return f"{kind.capitalize()}es are {negation}{other}."
    other = rule.other if isinstance(rule.other, str) else _article(kinds[rule.other])
    return f"{('Every', 'Each')[form]} {kind} is {negation}{other}."


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _one_of(items: tuple[str, ...], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]
