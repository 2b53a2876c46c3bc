"""Recipes: one YAML, typed, strict and explained. `load` is the way in; `schema` says what may be set."""

from tacit.recipe.faults import Fault, FaultyRecipe
from tacit.recipe.loader import Loaded, load
from tacit.recipe.schema import Recipe

__all__ = ["Fault", "FaultyRecipe", "Loaded", "Recipe", "load"]
