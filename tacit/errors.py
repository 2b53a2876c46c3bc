"""What goes wrong on the user's side. A message says what was given, why it cannot work and what to set."""


class TacitError(ValueError):
    """A user's mistake, or something the machine refused: shown without a traceback, exit code 1."""


class DataError(TacitError):
    """A row, a file or a column that cannot be used; the message names the file, the line and the field."""


class ModelError(TacitError):
    """A model, a tokenizer or a checkpoint that cannot do what is asked of it."""


class RecipeError(TacitError):
    """One or more faults in a recipe; the message lists all of them."""
