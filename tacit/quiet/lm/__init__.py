"""Thoughts before the tokens of a text in any causal language model: each a private continuation of its place."""
