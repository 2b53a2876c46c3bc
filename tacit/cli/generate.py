"""`tacit generate`: answers to questions from the command line or from standard input."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tacit.evaluate.answering import Answer

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, a checkpoint, a model folder or a hub id.")]
Prompts = Annotated[list[str] | None, typer.Argument(metavar="PROMPT|-", help="Questions; - reads one from each line.")]
ShowThoughts = Annotated[bool, typer.Option("--show-thoughts", help="Tell how the model thought, below each answer.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=1, help="Longest answer in tokens.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0, help="0 always takes the likeliest token.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of sampling.")]
Latents = Annotated[int | None, typer.Option("--latents", min=0, help="So many silent steps, whatever was trained.")]
Then = Annotated[str, typer.Option("--then", help="Words that come behind the silent steps, such as <<.")]


def generate(
    run: Run,
    prompts: Prompts = None,
    show_thoughts: ShowThoughts = False,
    max_tokens: MaxTokens = 128,
    temperature: Temperature = 0.0,
    seed: Seed = 0,
    latents: Latents = None,
    then: Then = "",
) -> None:
    """Answer questions."""
    from tacit.thinker import Thinker

    if not prompts:
        raise typer.BadParameter("give a question, or - to read questions from standard input")
    thinker = Thinker.from_pretrained(run)
    options = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed, "latents": latents, "then": then}
    asked = questions(prompts)
    if not sys.stdout.isatty():
        together = list(asked)
        for question, answer in zip(together, thinker.generate(together, **options)):
            header(question, len(together) > 1)
            print(answer.text)
            show(answer, show_thoughts)
        return
    for question in asked:
        header(question, len(prompts) > 1)
        told = lambda _question, _token, text: print(text, end="", flush=True)  # noqa: E731
        print(then, end="", flush=True)
        [answer] = thinker.generate([question], on_token=told, **options)
        print()
        show(answer, show_thoughts)


def questions(prompts: list[str]) -> Iterator[str]:
    """The questions one by one; lines of standard input as they come, so that a person can type them."""
    for prompt in prompts:
        if prompt == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield prompt


def header(question: str, several: bool) -> None:
    if several:
        print(f"> {question}")


def show(answer: "Answer", wanted: bool) -> None:
    """How the model got there: `6 silent · 14 written`."""
    if wanted:
        stretches = " · ".join(f"{thought.length} {thought.kind}" for thought in answer.thoughts)
        print(f"  [thought: {stretches or 'not at all'}; log-probability {answer.logprob:.2f}]")
