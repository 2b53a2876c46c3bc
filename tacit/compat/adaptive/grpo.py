"""The registries of reinforcement learning on the length of thought, and what their options become."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tacit.compat.adaptive.option import Registry

if TYPE_CHECKING:
    from tacit.compat.adaptive.plan import Plan

BASE = "fragments/adaptive"

TRAINING: Registry = ()
CONFIG: Registry = ()


def translate(made: "Plan", variables: Mapping[str, str]) -> None:
    """Fill in."""
