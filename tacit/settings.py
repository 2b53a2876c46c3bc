"""The base of everything a recipe can set: frozen, strict, documented by the strings under its fields."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Unknown fields are refused; the docstring under a field is its help text."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())

    def changed(self, *names: str) -> list[str]:
        """Those of these fields that are not as they are by default."""
        return [name for name in names if getattr(self, name) != type(self).model_fields[name].default]
