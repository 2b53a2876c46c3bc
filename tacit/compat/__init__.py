"""Command lines of published code, run by this system. Each is turned into a recipe; nothing is computed here."""
