"""The claims by name. A new one is one file and one line here."""

CLAIMS: dict[str, object] = {
    "arithmetic-steps": "tacit.study.claims.arithmetic_steps:CLAIM",
    "internalized-2x2": "tacit.study.claims.internalized_2x2:CLAIM",
    "superposition": "tacit.study.claims.superposition:CLAIM",
}
