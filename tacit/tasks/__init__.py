"""The tasks by name. A new one is one file and one line here."""

TASKS: dict[str, object] = {
    "arithmetic": "tacit.tasks.arithmetic:Arithmetic",
    "gsm8k": "tacit.tasks.gsm8k:Gsm8k",
    "layered": "tacit.tasks.layered:Layered",
    "multiplication": "tacit.tasks.multiplication:Multiplication",
    "prontoqa": "tacit.tasks.prontoqa:ProntoQA",
    "prosqa": "tacit.tasks.prosqa:ProsQA",
    "prosqa_symbolic": "tacit.tasks.prosqa:ProsQASymbolic",
    "rows": "tacit.tasks.rows:Rows",
}
