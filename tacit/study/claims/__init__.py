"""The claims by name. A new one is one file and one line here."""

CLAIMS: dict[str, object] = {
    "adaptive-latent": "tacit.study.claims.adaptive_latent:CLAIM",
    "adaptive-latent-wide": "tacit.study.claims.adaptive_latent:WIDE",
    "arithmetic-stages": "tacit.study.claims.arithmetic_stages:CLAIM",
    "arithmetic-steps": "tacit.study.claims.arithmetic_steps:CLAIM",
    "bolt-walks": "tacit.study.claims.bolt_walks:CLAIM",
    "internalized-2x2": "tacit.study.claims.internalized_2x2:CLAIM",
    "rl-length": "tacit.study.claims.rl_length:CLAIM",
    "sum3-fillers": "tacit.study.claims.sum3_fillers:CLAIM",
    "superposition": "tacit.study.claims.superposition:CLAIM",
}
