"""Runs that learn from their own answers: any cut of a step, any stop and resume, several updates of one step's answers; and
what is refused."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from tacit.errors import DataError, TacitError
from tacit.example import encode
from tacit.methods.base import World
from tacit.methods.grpo import Grpo
from tacit.recipe import FaultyRecipe, load
from tacit.recipe.choice import decode
from tacit.recipe.schema import Recipe
from tacit.rl import acting
from tacit.rl.start import Start
from tacit.train.fit import fit
from tacit.train.step import Stepper
from tests.pairs import become_one_of_two, fork_two
from tests.rl import toys

EXACT = 1e-11
METHOD = {"name": "grpo", "actor": toys.DISTILL, "group": 4, "max_tokens": 2, "kl": 0.05}
SPREAD = {"reward": {"shorter": 0.5, "longer": 0.5, "functions": [{"function": "toys:uneven"}]}}
"""Rewards that differ, so that something is learned."""


def recipe(method=None, **train) -> Recipe:
    steps = {"steps": 4, "batch": 6, "lr": 1e-2, "log_every": 1, **train}
    given = {"task": {"name": "modular"}, "method": METHOD | SPREAD | (method or {}), "train": steps}
    return decode(Recipe, given)


def trained(folder, given: Recipe, mind=None, world=True, **options):
    mind = mind or toys.thinker(dropout=0.2)
    encoded = encode(toys.EXAMPLES, mind.tokenizer, toys.TASK.template)
    about = World(toys.TASK, toys.EXAMPLES, given.train.seed) if world else None
    fit(given, mind, given.method.settings, encoded, folder=folder, world=about, **options)
    return {name: p.detach().clone() for name, p in mind.named_parameters()}


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def apart(one, other) -> float:
    return max(float((one[name] - other[name]).detach().abs().max()) for name in one)


@pytest.mark.parametrize("method", [{}, {"estimator": "exact", "answers": 2}, {"actor": toys.COT}], ids=str)
def test_micro_batches_do_not_matter(tmp_path, method):
    actor = method.get("actor", toys.DISTILL)
    whole, cut = (
        trained(
            tmp_path / str(size), recipe(method, micro_batch=size, steps=2, lr=1e-3), toys.thinker(actor, dropout=0.2)
        )
        for size in (6, 2)
    )
    assert apart(whole, untrained(actor)) > 1e-4
    assert apart(whole, cut) < EXACT


def untrained(actor):
    return dict(toys.thinker(actor).named_parameters())


def test_answers_that_depend_on_their_neighbours_matter(tmp_path, monkeypatch):
    whole = trained(tmp_path / "6", recipe())
    by_place(monkeypatch)
    assert apart(whole, trained(tmp_path / "2", recipe(micro_batch=2))) > 1e-4


def by_place(patch):
    """Random numbers that belong to the place in a micro-batch instead of the question."""
    act = acting.act

    def wrong(method, mind, lesson):
        return act(method, mind, replace(lesson, world=replace(lesson.world, seed=lesson.rows)))

    patch.setattr(acting, "act", wrong)


@pytest.mark.parametrize("lora", [None, 0.2])
def test_going_on_is_as_if_nothing_had_happened(tmp_path, lora):
    """The reference too is what it was at the beginning, not what it was where the run stopped."""
    given = recipe({"parts": 2, "passes": 2}, save_every=2, keep=4)
    minds = [toys.thinker(lora=lora, dtype=torch.float32) for _ in range(3)]
    straight = trained(tmp_path / "a", given, minds[0])
    trained(tmp_path / "b", given, minds[1])
    resumed = trained(tmp_path / "b", given, minds[2], resume=2)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    told = [[{k: v for k, v in line.items() if k != "seconds"} for line in lines(tmp_path / f)] for f in "ab"]
    assert told[0] == told[1] and told[0][-1]["kl"] > 0


class LateStart:
    """A reference that is made when it is first asked for."""

    def __init__(self, mind):
        self.mind, self.start = mind, None

    @contextmanager
    def thinker(self):
        self.start = self.start or Start.of(self.mind)
        with self.start.thinker() as frozen:
            yield frozen


def test_a_reference_of_the_moment_would_be_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(Grpo, "start", lambda self, mind: LateStart(mind))
    given = recipe(save_every=2, keep=4)
    straight = trained(tmp_path / "run", given)
    assert apart(straight, trained(tmp_path / "run", given, resume=2)) > 1e-6


@pytest.mark.parametrize(("parts", "passes"), [(1, 1), (3, 1), (1, 2), (2, 3)])
def test_several_updates_of_one_steps_answers(tmp_path, monkeypatch, parts, passes):
    update, act, seen = Stepper._update, acting.act, []
    monkeypatch.setattr(Stepper, "_update", lambda self, *given: seen.append("update") or update(self, *given))
    monkeypatch.setattr(acting, "act", lambda *given: seen.append(("act", given[2].rows)) or act(*given))
    trained(tmp_path / "run", recipe({"parts": parts, "passes": passes}, steps=1))
    acted = [rows for kind, rows in (one for one in seen if one != "update")]
    assert acted == [6 // parts] * parts
    assert seen[parts:] == ["update"] * (parts * passes)
    [line] = lines(tmp_path / "run")
    assert (line["off_policy"] > 1e-6) is (parts * passes > 1)


def one_of_two(rank, port, folder, circumstances):
    become_one_of_two(rank, port)
    with pytest.MonkeyPatch.context() as patch:
        circumstances(patch)
        done = trained(folder / "run", recipe({"parts": 2, "passes": 2}, steps=2, lr=1e-3, batch=8))
    torch.save(done, folder / f"weights-{rank}")
    torch.distributed.destroy_process_group()


def test_several_updates_of_two_processes_are_those_of_one(tmp_path):
    """Each process answers its own questions, and every one of the four updates is of both: the same questions as in one
    process, since these share a part evenly. The twin: answers that belong to a place in a process's rows."""
    alone = trained(tmp_path / "alone", recipe({"parts": 2, "passes": 2}, steps=2, lr=1e-3, batch=8))
    for name, circumstances in (("right", lambda patch: None), ("wrong", by_place)):
        (tmp_path / name).mkdir()
        fork_two(one_of_two, tmp_path / name, circumstances)
        first, second = (torch.load(tmp_path / name / f"weights-{rank}") for rank in range(2))
        assert apart(first, second) == 0.0
        assert (apart(first, alone) < EXACT) is (name == "right")


def test_memory_that_runs_out_later_is_not_made_up_for(tmp_path, monkeypatch):
    """Answers of the changed weights would be others."""
    attempt, calls = Stepper._attempt, []

    def failing(self, *given):
        calls.append(1)
        return None if len(calls) == 2 else attempt(self, *given)

    monkeypatch.setattr(Stepper, "_attempt", failing)
    with pytest.raises(TacitError, match=r"step 1: memory ran out in update 2 of 2; set train.micro_batch: 3"):
        trained(tmp_path / "run", recipe({"passes": 2}))


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"group": 1}, "a group of 1 has nothing to be compared with.*set 2 or more"),
        ({"temperature": 0.0}, "without chance all answers .* are the same"),
        ({"reference": "none"}, "no reference to diverge from; set kl: 0, or reference: auto"),
        ({"estimator": "exact", "actor": toys.COT}, "cot decides nothing; set estimator: sampled"),
        (
            {"estimator": "exact", "actor": toys.DISTILL | {"stop": 0.0, "codi": 0.0}},
            "distill decides nothing; set estimator: sampled, or an actor with a learned stop",
        ),
        (
            {"estimator": "exact", "actor": {"name": "distill", "thoughts": {"close": "token+thought"}}},
            "branches behind a thought",
        ),
        ({"actor": METHOD}, "grpo reinforces the answers of another method"),
        ({"actor": {"name": "coct"}}, "is no known method"),
    ],
)
def test_settings_that_cannot_work(fields, said):
    with pytest.raises(ValidationError, match=f"(?s){said}"):
        decode(type(toys.method()), {"actor": toys.DISTILL, "kl": 0.1, **fields})


def test_a_faulty_actor_is_shown_at_its_place():
    with pytest.raises(FaultyRecipe) as caught:
        load("adaptive/latent-6-by-1+rl-tiny", {"method.actor.latents.plus": -1, "method.group": 1}, disk=False)
    assert {fault.path for fault in caught.value.faults} == {"method.actor.latents.plus", "method.group"}


def test_adapters_that_are_not_there_cannot_be_switched_off(tmp_path):
    with pytest.raises(TacitError, match=r"no adapters to switch off.*reference: copy"):
        trained(tmp_path / "run", recipe({"reference": "adapters_off"}))


def test_answers_that_nobody_grades(tmp_path):
    with pytest.raises(TacitError, match=r"given none; pass world=World\(task, examples\)"):
        trained(tmp_path / "run", recipe(), world=False)


def test_documents_ask_nothing():
    mind = toys.thinker()
    [row] = encode(toys.EXAMPLES[:1], mind.tokenizer, toys.TASK.template)
    with pytest.raises(DataError, match="train-0 is a document: it asks nothing"):
        toys.method().check([row._replace(question=())])


@pytest.mark.parametrize("name", ["too_few", "not_a_number", "raises"])
def test_a_faulty_reward_ends_the_run_before_anything_is_learned(tmp_path, name):
    mind = toys.thinker()
    before = {n: p.detach().clone() for n, p in mind.named_parameters()}
    given = recipe({"reward": {"functions": [{"function": f"toys:{name}"}]}}, batch=8)
    with pytest.raises(DataError, match=f"reward function toys:{name}"):
        trained(tmp_path / "run", given, mind)
    assert apart(before, {n: p.detach() for n, p in mind.named_parameters()}) == 0


def test_a_chain_longer_than_the_model(tmp_path):
    thoughts = toys.DISTILL["thoughts"] | {"max_latents": 30}
    actor = toys.DISTILL | {"thoughts": thoughts}
    with pytest.raises(DataError, match="needs position"):
        trained(tmp_path / "run", recipe({"estimator": "exact", "actor": actor}), toys.thinker(actor))
