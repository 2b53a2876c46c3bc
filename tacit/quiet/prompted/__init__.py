"""Thoughts that are asked for in words: a prompt in front of a text says what they are for."""
