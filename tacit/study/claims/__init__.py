"""The claims by name. A new one is one file and one line here."""

CLAIMS: dict[str, object] = {
    "arithmetic-stages": "tacit.study.claims.arithmetic_stages:CLAIM",
    "arithmetic-steps": "tacit.study.claims.arithmetic_steps:CLAIM",
    "internalized-2x2": "tacit.study.claims.internalized_2x2:CLAIM",
    "sum3-fillers": "tacit.study.claims.sum3_fillers:CLAIM",
}
