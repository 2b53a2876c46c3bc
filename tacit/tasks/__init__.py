"""The tasks by name. A new one is one file and one line here."""

TASKS: dict[str, object] = {
    "arithmetic": "tacit.tasks.arithmetic:Arithmetic",
    "gsm8k": "tacit.tasks.gsm8k:Gsm8k",
    "layered": "tacit.tasks.layered:Layered",
    "math": "tacit.tasks.math:Math",
    "match2": "tacit.tasks.match2:Match2",
    "match3": "tacit.tasks.match3:Match3",
    "modular": "tacit.tasks.modular:Modular",
    "multiplication": "tacit.tasks.multiplication:Multiplication",
    "parity": "tacit.tasks.parity:Parity",
    "permutation": "tacit.tasks.permutation:Permutation",
    "prontoqa": "tacit.tasks.prontoqa:ProntoQA",
    "prosqa": "tacit.tasks.prosqa:ProsQA",
    "prosqa_symbolic": "tacit.tasks.prosqa:ProsQASymbolic",
    "rows": "tacit.tasks.rows:Rows",
    "text": "tacit.tasks.text:Text",
    "walks": "tacit.tasks.walks:Walks",
    "written": "tacit.tasks.written:Written",
}
