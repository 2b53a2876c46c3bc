"""`tacit bolt`: infer the thoughts behind text, learn from them, repeat; whole, or step by step."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.bolt.command_lines import Mode, do, line
from tacit.cli.stopped import told_when_stopped

if TYPE_CHECKING:
    from tacit.bolt.pipeline import Pipeline

bolt = typer.Typer(
    name="bolt",
    help="Infer the thoughts behind text, learn from them, repeat.",
    no_args_is_help=True,
    add_completion=False,
)

Words = Annotated[
    list[str], typer.Argument(metavar="RECIPE [K=V]...", help="A recipe with a section bolt, and changes to it.")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of the pipeline.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes that share the work.")]
Place = Annotated[Path, typer.Argument(metavar="DIR/round-N", help="A round's folder, in which a plan lies.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder with runs.")]
Round = Annotated[int, typer.Option("--round", min=1, help="The number of the round.")]
FromZero = Annotated[int, typer.Option("--round", min=0, help="The number of the round; 0 is the warm start.")]
How = Annotated[Mode, typer.Option("--mode", help="cat prints the command lines, run runs them; launch: not yet.")]
Data = Annotated[str | None, typer.Option("--data", help="Learn from other data: a name under bolt.data.")]
Matched = Annotated[str, typer.Option("--data", help="A name under bolt.data, with train.steps: {flops_steps}.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, help="A further trial: another seed, in a folder of its own.")
]
Trial = Annotated[
    int | None,
    typer.Option("--trial", min=0, help="The run that warm or learn made with this --seed; without: the first."),
]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="latent_thoughts, wrap_baseline or wrap_cot.")]
Part = Annotated[str | None, typer.Option("--part", help="Only plan, work or merge.")]
Seeds = Annotated[str, typer.Option("--seeds", help="Seeds of the fine-tuned models, between commas.")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="gsm8k or math.")]


@bolt.callback()
def _group() -> None:
    """Infer the thoughts behind text, learn from them, repeat."""


def _pipeline(words: list[str], out: Path, workers: int = 1) -> "Pipeline":
    from tacit.bolt.pipeline import Pipeline

    return Pipeline(words[0], words[1:], out, workers)


@bolt.command()
def run(words: Words, out: Out, workers: Workers = 1) -> None:
    """The whole pipeline: what is done already is not done again."""
    _pipeline(words, out, workers).run()


@bolt.command()
def prepare(words: Words, mode: How = Mode.run) -> None:
    """Documents for the warm start, the rounds and validation, as bolt.corpus says."""
    from tacit.bolt.corpus import prepare as make
    from tacit.bolt.making import corpus_of

    settings = corpus_of(words)
    if mode is Mode.run:
        print(make(settings))
    else:
        do([line("bolt", "prepare", *words)], mode)


@bolt.command()
def synthesize(kind: Kind, words: Words, workers: Workers = 1, part: Part = None, mode: How = Mode.run) -> None:
    """A stronger model writes thoughts for the warm start, or its documents anew, as bolt.synthesis says."""
    from tacit.bolt.making import synthesis_lines, synthesis_part

    with told_when_stopped():
        if part is None:
            do(synthesis_lines(kind, words, workers), mode)
        else:
            synthesis_part(part, kind, words)


@bolt.command()
def warm(words: Words, out: Out, data: Data = None, seed: Seed = None, mode: How = Mode.run) -> None:
    """Train the warm start, or a model that learns from other data."""
    from tacit.bolt import steps

    do(steps.warm(_pipeline(words, out), data, seed), mode)


@bolt.command()
def infer(words: Words, out: Out, round: Round = 1, workers: Workers = 1, mode: How = Mode.run) -> None:
    """Infer thoughts for the corpus: plan, work, merge."""
    from tacit.bolt import steps

    do(steps.infer(_pipeline(words, out, workers), words, round), mode)


@bolt.command()
def plan(words: Words, out: Out, round: Round = 1) -> None:
    """Write down what a round has to infer, so that any process can take a part."""
    _pipeline(words, out).plan(round)


@bolt.command()
def work(place: Place) -> None:
    """Take shards of a round until none is left; start it as often as there are processors, anywhere that sees the folder."""
    from tacit.bolt.workers import work as take

    print(f"{take(place)} shards made here")


@bolt.command()
def merge(place: Place, mode: How = Mode.run) -> None:
    """Put the shards of a round together, each once."""
    from tacit.bolt.workers import merge as put

    if mode is Mode.run:
        print(put(place))
    else:
        do([line("bolt", "merge", place)], mode)


@bolt.command()
def learn(words: Words, out: Out, round: Round = 1, data: Data = None, seed: Seed = None, mode: How = Mode.run) -> None:
    """Train a round's model on its thoughts, or a baseline on other data."""
    from tacit.bolt import steps

    do(steps.learn(_pipeline(words, out), words, round, data, seed), mode)


@bolt.command()
def match(words: Words, out: Out, data: Matched, round: Round = 1, seed: Seed = None, mode: How = Mode.run) -> None:
    """Train a baseline for as many steps as cost what the rounds so far did; how many is found when this is run."""
    from tacit.bolt import steps

    do(steps.match(_pipeline(words, out), round, data, seed), mode)


@bolt.command()
def judge(words: Words, out: Out, round: FromZero = 1, trial: Trial = None, mode: How = Mode.run) -> None:
    """The held-out lower bound of a round's model."""
    from tacit.bolt import steps

    if mode is not Mode.run:
        of_trial = () if trial is None else ("--trial", trial)
        do([line("bolt", "judge", *words, "--out", out, "--round", round, *of_trial)], mode)
        return
    told = steps.judge(_pipeline(words, out), round, trial)
    print(", ".join(f"{name} {value:.4f}" for name, value in told.items()))


@bolt.command()
def finetune(
    task: Task,
    words: Words,
    out: Out,
    round: FromZero = 1,
    data: Data = None,
    trial: Trial = None,
    seeds: Seeds = "42,43,44,45,46",
    mode: How = Mode.run,
) -> None:
    """Fine-tune a model on questions with worked answers, once for each seed, and test it with many samples."""
    from tacit.bolt import steps
    from tacit.bolt.finetune import check_task, seeds_of

    check_task(task)
    do(steps.finetune(_pipeline(words, out), task, round, data, seeds_of(seeds), trial), mode)


@bolt.command()
def tally(place: Folder) -> None:
    """Put the answers of fine-tuned models together: accuracy, majority, at least one of k, with intervals over seeds."""
    from tacit.bolt.finetune import tally as count

    print(count(place))


@bolt.command()
def plot(place: Folder, mode: How = Mode.run) -> None:
    """The published figures, from result files: kinds of data, rounds, fine-tuned models."""
    from tacit.bolt.plots import plot as draw

    if mode is not Mode.run:
        do([line("bolt", "plot", place)], mode)
        return
    for file in draw(place):
        print(file)
