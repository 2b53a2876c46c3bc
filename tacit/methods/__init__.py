"""The methods by name. A new one is one file, one line here and one recipe."""

METHODS: dict[str, object] = {}
