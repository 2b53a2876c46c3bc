"""The whole of it: a warm start, then rounds of inference and learning, each step of which is found again when it is done.

DIR/recipe.yaml           what all of it follows from
DIR/warm/                 the run of the warm start
DIR/round-1/infer/        shards, which any process may work on
DIR/round-1/thoughts.jsonl, statistics.json, judged.json
DIR/round-1/learn/        the run that learned from them
DIR/metrics.jsonl         a line for the warm start and for each round
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from tacit.bolt import workers
from tacit.bolt.judging import judge
from tacit.bolt.rounds import Rounds
from tacit.bolt.workers import SHARDS, STATISTICS, THOUGHTS
from tacit.errors import TacitError
from tacit.lock import alone
from tacit.recipe import load
from tacit.recipe.schema import Recipe
from tacit.whole import write_whole

RECIPE, METRICS, JUDGED = "recipe.yaml", "metrics.jsonl", "judged.json"
APART = 1000
"""Between the seeds of two rounds, so that no two of them share random numbers."""
Overrides = Mapping[str, Any] | Sequence[str]


def section(recipe: Recipe) -> Rounds:
    """The recipe's section, which must be there."""
    if recipe.bolt is None:
        raise TacitError(
            "this recipe has no section bolt, which says how thoughts are inferred; take bolt/tiny, or add one"
        )
    return recipe.bolt


class Pipeline:
    """A recipe, and a folder for all that comes of it."""

    def __init__(
        self,
        name: str | Path,
        overrides: Overrides,
        out: str | Path,
        workers: int = 1,
        say: Callable[[str], None] = print,
    ):
        self.name, self.overrides, self.folder, self.workers, self.say = name, overrides, Path(out), workers, say
        self.recipe = load(name, overrides).recipe
        self.rounds = section(self.recipe)
        self.lines: list[dict[str, Any]] = []

    def run(self) -> Path:
        """Everything that is not done yet; the folder."""
        with alone(self.folder):
            return self._run()

    def _run(self) -> Path:
        self._keep_recipe()
        self.make_data()
        model = self.warm()
        self._tell(0, model, self.judge(model, self.folder / "warm-judged"))
        for number in range(1, self.rounds.rounds + 1):
            self.infer(number)
            model = self.learn(number)
            self._tell(number, model, self.judge(model, self.place(number)))
        return self.folder

    def place(self, number: int) -> Path:
        """The folder of a round."""
        return self.folder / f"round-{number}"

    def model(self, number: int) -> Path:
        """The run that a round ended with; round 0 is the warm start."""
        if number:
            return self.place(number) / "learn"
        return Path(self.rounds.warm_run) if self.rounds.warm_run else self.folder / "warm"

    def _keep_recipe(self) -> None:
        from tacit.study.runs import Run

        told = self.recipe.model_dump(mode="json")
        Run(self.folder).check_made_by(told)
        write_whole(self.folder / RECIPE, yaml.safe_dump(told, sort_keys=False, allow_unicode=True))

    def make_data(self) -> None:
        """The corpus and the thoughts of the warm start, where the recipe says how they are made."""
        from tacit.bolt.corpus import prepare
        from tacit.bolt.synthesize import synthesize

        rounds = self.rounds
        if rounds.corpus is not None:
            self._check_read(rounds.corpus.folder)
            prepare(rounds.corpus, self.say)
        if rounds.corpus is not None and rounds.synthesis is not None:
            folder = Path(rounds.corpus.folder)
            synthesize("latent_thoughts", folder / "warm.jsonl", folder, rounds.synthesis, rounds.chunking, self.say)

    def _check_read(self, folder: str) -> None:
        """Refuse documents, and thoughts that cost money, from which nothing would be learned."""
        task, place = self.recipe.task, Path(folder).absolute()
        told = _dotted({**task.model_dump(mode="json"), **self.rounds.warm, **self.rounds.learn})
        files = [one for value in told.values() for one in (value if isinstance(value, list) else [value])]
        if not any(isinstance(one, str) and Path(one).absolute().is_relative_to(place) for one in files):
            raise TacitError(
                f"bolt.corpus prepares documents in {folder}, and task {task.name} reads none of them. Set task.name: rows, "
                f"task.train: {folder}/corpus.jsonl, task.valid: {folder}/valid.jsonl and bolt.warm.task.train: "
                f"{folder}/latent_thoughts.jsonl; or bolt.corpus: null"
            )

    # -- learning -------------------------------------------------------------------------------------------------------

    def warm(self) -> Path:
        """The model that infers in the first round."""
        if self.rounds.warm_run is None:
            self._train(self.rounds.warm, self.folder / "warm")
        return self.model(0)

    def learn(self, number: int) -> Path:
        """A model that learns from the thoughts of a round."""
        self._train(self.learn_fields(number), self.model(number), self.start(number))
        return self.model(number)

    def learn_fields(self, number: int) -> dict[str, Any]:
        """What the model of a round learns from, and its own random numbers."""
        fields = self.filled(self.rounds.learn, number)
        return {**fields, "train.seed": self.recipe.train.seed + APART * number}

    def filled(self, fields: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Fields by their dotted names, with the thoughts of a round in them."""
        thoughts = str((self.place(number) / THOUGHTS).absolute())
        return {
            key: value.replace("{thoughts}", thoughts) if isinstance(value, str) else value
            for key, value in _dotted(fields).items()
        }

    def start(self, number: int) -> Path | None:
        """The run that the model of a round begins with."""
        return {"warm": self.model(0), "previous": self.model(number - 1)}.get(self.rounds.start)

    def _train(self, fields: Mapping[str, Any], out: Path, start: Path | None = None) -> None:
        from tacit.train import train

        train(self.name, self.with_fields(fields), out=out, resume=True, from_run=start)  # type: ignore[operator]

    def with_fields(self, fields: Mapping[str, Any]) -> Overrides:
        """The changes to the recipe, and these."""
        more, given = _dotted(fields), self.overrides
        if isinstance(given, Mapping):
            return {**given, **more}
        return [*given, *(f"{key}={json.dumps(value)}" for key, value in more.items())]

    # -- inference ------------------------------------------------------------------------------------------------------

    def infer(self, number: int) -> Path:
        """Thoughts for the whole corpus, by this process or by several; the file of all documents. One that was put there, such
        as a published one, stays."""
        place = self.place(number)
        if (place / STATISTICS).exists():
            return place / THOUGHTS
        if (place / THOUGHTS).exists() and not (place / SHARDS).exists():
            self.say(f"{place / THOUGHTS} was put there and not inferred here: learning from it as it is")
            return place / THOUGHTS
        start = time.perf_counter()
        self.plan(number)
        if self.workers == 1:
            workers.work(place)
        else:
            workers.employ(place, self.workers)
        return workers.merge(place, self.say, time.perf_counter() - start)

    def plan(self, number: int) -> None:
        """What is to be inferred, written down so that any process can take a part."""
        rounds, model = self.rounds, self.model(number - 1)
        if rounds.warm_run is None and not model.exists():
            maker = f"learn … --round {number - 1}" if number > 1 else "warm …"
            raise TacitError(
                f"{model}, the model that infers in round {number}, is not there; make it with tacit bolt {maker}"
            )
        seed = rounds.infer.seed + APART * self.recipe.train.seed + number
        about = {
            # From the round's folder, which other machines may know by another name.
            "model": os.path.relpath(model, self.place(number)),
            "infer": rounds.infer.model_copy(update={"seed": seed}).model_dump(mode="json"),
        }
        workers.plan(self.place(number), self.recipe, rounds.shard, about)

    # -- what came of it ------------------------------------------------------------------------------------------------

    def judge(self, model: Path, place: Path) -> dict[str, float]:
        """The held-out lower bound of a model, by numbers of candidates, in nats for each document and each token."""
        from tacit.thinker import Thinker

        rounds, file = self.rounds, place / JUDGED
        if not rounds.judged:
            return {}
        if file.exists():
            return json.loads(file.read_text(encoding="utf-8"))
        task = self.recipe.resolved_task()
        examples = list(islice(task.examples("valid"), rounds.judged_limit))
        told = judge(Thinker.from_pretrained(str(model)), examples, task.template, rounds)
        if told["bound_left_out"]:
            self.say(
                f"{told['bound_left_out']:.0f} of {len(examples)} held-out documents are left out of the bound: they have "
                "chunks that do not fit into the model"
            )
        place.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(told) + "\n")
        return told

    def _tell(self, number: int, model: Path, judged: dict[str, float]) -> None:
        """A line of metrics: the model's evaluation, its bounds, how its thoughts were inferred, the accuracy of each round so
        far, and what all of it took."""
        from tacit.study.runs import Run

        run = Run(model)
        result, last = run.result(), run.training[-1]
        statistics_file = self.place(number) / STATISTICS
        inferred = json.loads(statistics_file.read_text(encoding="utf-8")) if statistics_file.exists() else {}
        before = self.lines[-1]["seconds"] if self.lines else 0.0
        line: dict[str, Any] = {"step": number, "loss": last["loss"]}
        line["seconds"] = before + last["seconds"] + inferred.get("seconds", 0.0)
        line |= {f"eval/{key}": value for key, value in (result | judged).items()}
        told = "accuracy" if "accuracy" in result else "ppl"
        line |= {f"eval/{told}/{earlier['step']}": earlier[f"eval/{told}"] for earlier in self.lines}
        line |= {f"eval/{told}/{number}": result[told]}
        line |= {f"infer/{key}": value for key, value in inferred.items()}
        self.lines.append(line)
        write_whole(self.folder / METRICS, "".join(json.dumps(one) + "\n" for one in self.lines))
        bounds = "".join(f", bound_{k} {judged[f'bound_{k}']:.3f}" for k in self.rounds.judged)
        self.say(f"{f'round {number}' if number else 'warm start'}: {told} {result[told]:.3f}{bounds}")


def _dotted(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Fields by their dotted names, however they are nested."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _dotted(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found
