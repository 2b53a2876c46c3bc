"""Thoughts before every token of a text: the recurrent laboratory, and what its thoughts are worth."""
