"""The methods by name. A new one is one file, one line here and one recipe."""

METHODS: dict[str, object] = {
    "cot": "tacit.methods.cot:Cot",
    "no_cot": "tacit.methods.cot:NoCot",
    "no_thoughts": "tacit.methods.cot:NoThoughts",
    "coconut": "tacit.methods.coconut:Coconut",
    "icot": "tacit.methods.icot:Icot",
    "filler": "tacit.methods.filler:Filler",
    "mixed": "tacit.methods.mixed:Mixed",
    "pause": "tacit.methods.pause:Pause",
    "superposition": "tacit.methods.superposition:Superposition",
    "bolt": "tacit.methods.bolt:Bolt",
    "distill": "tacit.methods.distill:Distill",
    "grpo": "tacit.methods.grpo:Grpo",
    "plain": "tacit.methods.plain:Plain",
    "gaussian": "tacit.methods.gaussian:Gaussian",
    "quiet": "tacit.methods.quiet:Quiet",
    "quiet_star": "tacit.methods.quiet_star:QuietStar",
    "ponder": "tacit.methods.ponder:Ponder",
    "prompted": "tacit.methods.prompted:Prompted",
    "unquiet": "tacit.methods.unquiet:Unquiet",
}
