"""The tasks by name. A new one is one file and one line here."""

TASKS: dict[str, object] = {}
