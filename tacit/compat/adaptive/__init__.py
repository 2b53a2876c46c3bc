"""The option variables of adaptive latent reasoning (arXiv 2511.21581): blocks of shell assignments, pasted as they are printed,
become recipes. docs/adaptive.md says what every option turns into.
"""
