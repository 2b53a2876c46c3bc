"""The published commands of the quiet-thought laboratory."""
