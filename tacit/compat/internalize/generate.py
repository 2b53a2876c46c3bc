"""The published evaluation command: answers to the questions of a file, each printed beside its target, accuracy and speed at the
end."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tacit.compat.internalize.options import GENERATE, parse, refuse
from tacit.compat.internalize.plan import LAYOUTS
from tacit.compat.internalize.rows import files_of
from tacit.errors import TacitError
from tacit.example import Encoded, Template, encode

if TYPE_CHECKING:
    from tacit.thinker import Thinker

PROGRAM = "src/generate.py"
MARKS = ("<|start|>", "<|ready|>")


def main(words: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    try:
        _run(words)
    except TacitError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(words: Sequence[str]) -> None:
    given = parse(words, GENERATE, PROGRAM, "Accuracy and speed of an internalized model, by the published options.")
    values, faults = given.values, list(given.faults)
    source = files_of({"test": values["test_path"]}, faults) if "test_path" in given.named else None
    refuse(PROGRAM, faults)
    assert source is not None
    print(f"data: {source.told}", file=sys.stderr)
    if "truncation" in given.named:
        print("--truncation: no effect, since a question that was cut would be another one", file=sys.stderr)

    from tacit.evaluate.subject import method_of
    from tacit.models.making import load
    from tacit.recipe.choice import choose
    from tacit.train.ranks import Ranks

    thinker = load(values["from_pretrained"], dtype="bf16" if values["bf16"] else "fp32").to(Ranks().device)
    template = layout_of(thinker, values["layout"]).filled(thinker.tokenizer)
    task = choose("task", source.task).settings.model_copy(update={"template": template})
    examples = list(task.examples("test"))
    rows = encode(examples, thinker.tokenizer, template)
    right, seconds, size = 0, 0.0, values["batch_size"]
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        answers, took = _answers(thinker, method_of(thinker.facts), part, values["max_new_tokens"])
        seconds += took
        for example, row, done in zip(examples[start : start + size], part, answers):
            right += task.grade(example, done.text).correct
            _show(thinker.tokenizer, row, done.ids)
    print(f"Test Accuracy: {right / len(rows)}. Throughput: {len(rows) / seconds}", flush=True)


def layout_of(thinker: "Thinker", wanted: str | None) -> Template:
    """The words around questions and answers: what the folder says, or what was asked for, or what the tokenizer suggests."""
    from tacit.evaluate.subject import template_of
    from tacit.recipe.reader import tree
    from tacit.recipe.sources import find, read

    if wanted is None and "template" in thinker.facts:
        return template_of(thinker.facts)
    known = thinker.tokenizer.get_vocab()
    layer, _ = read(find(LAYOUTS[wanted or ("ready" if all(mark in known for mark in MARKS) else "eos")]))
    return Template(**tree(layer)["template"])


def _answers(thinker: "Thinker", method: Any, rows: Sequence[Encoded], most: int) -> tuple[list[Any], float]:
    """Completions, and the seconds that they took."""
    from tacit.engine.sampling import Sampling
    from tacit.evaluate.account import ends

    prompts = [method.prompt(row, thinker.vocab) for row in rows]
    rules = [
        Sampling(max_tokens=most, ends=ends(prompt, row.cue, thinker.vocab), logprobs=False)
        for prompt, row in zip(prompts, rows)
    ]
    begin = time.perf_counter()
    return thinker.complete(prompts, rules), time.perf_counter() - begin


def _show(tokenizer: Any, row: Encoded, said: Sequence[int]) -> None:
    target = [*row.opening, *(token for step in row.steps for token in step), *row.cue, *row.answer]
    for name, ids in (("Input", row.question), ("Target", target), ("Predicted", said)):
        print(f"{name}: {tokenizer.decode(list(ids), skip_special_tokens=True)}")
    print(flush=True)
