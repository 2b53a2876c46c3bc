"""Bootstrapping latent thoughts: infer the thoughts behind text, learn from them, repeat."""
