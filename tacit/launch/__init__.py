"""Where runs happen, and many of them at once."""
