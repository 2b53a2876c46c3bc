"""A step means the same however it is cut: into heads, chunks, micro-batches, processes; and in half precision it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tacit import objectives
from tacit.batch import Batch
from tacit.engine.sampling import Sampling
from tacit.objectives import nll_and_hits, token_nll
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tests.exactness import tiny, two_processes
from tests.exactness.tiny import SIZE, VOCAB, rows, same, thinker

HERE = Path(__file__).parent
SOME = ("gpt2", "llama", "gru")


@pytest.mark.parametrize("family", SOME)
def test_the_head_where_something_is_learned(family):
    """The same as logits in every column, shifted against the labels."""
    mind, batch = thinker(family), Batch.of(rows(), VOCAB)
    logits = mind.door.head(mind(batch).hidden)
    wanted = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten())
    same(family, mind, mind.loss(batch), wanted)
    unshifted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten())
    with pytest.raises(AssertionError, match="losses differ"):
        same(family, mind, mind.loss(batch), unshifted)


@pytest.mark.parametrize("family", ["gpt2", "gemma", "gru"])
def test_heads_in_chunks(family, monkeypatch):
    mind, batch = thinker(family), Batch.of(rows(), VOCAB)
    whole = mind.loss(batch)
    for tokens in (1, 3, 7):
        monkeypatch.setattr(objectives, "CHUNK", tokens * SIZE)
        same(family, mind, mind.loss(batch), whole)
        assert len(token_nll(mind, mind(batch).hidden, batch)) == batch.learned
        total, hits = nll_and_hits(mind, mind(batch).hidden, batch, batch.learned)
        same(family, mind, total, whole)
        likeliest = mind.door.head(mind(batch).hidden).argmax(-1).flatten()[batch.sources]
        assert hits.tolist() == (likeliest == batch.targets).tolist()


def test_a_lost_chunk_is_noticed(monkeypatch):
    mind, batch = thinker("gpt2"), Batch.of(rows(), VOCAB)
    whole = mind.loss(batch)
    monkeypatch.setattr(objectives, "CHUNK", 3 * SIZE)
    monkeypatch.setattr(objectives, "checkpoint", lambda f, thinker, *piece, **_: f(thinker, *piece)[:2])
    with pytest.raises(AssertionError, match="losses differ"):
        same("gpt2", mind, mind.loss(batch), whole)


# --- micro-batches ---------------------------------------------------------------------------------------------------


def accumulated(mind, layouts, size, counted=None):
    """The sum over micro-batches of `size` rows, each divided by the count of the whole step."""
    count = Batch.of(layouts, VOCAB).learned
    parts = [Batch.of(layouts[i : i + size], VOCAB) for i in range(0, len(layouts), size)]
    return sum(mind.loss(part, counted(part) * len(parts) if counted else count) for part in parts)


@pytest.mark.parametrize("family", SOME)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_one_step_of_eight_is_eight_of_one(family, size):
    mind, layouts = thinker(family), two_processes.lesson(0)
    assert len(layouts) == 8
    whole = mind.loss(Batch.of(layouts, VOCAB))
    same(family, mind, accumulated(mind, layouts, size), whole)
    with pytest.raises(AssertionError, match="losses differ"):  # the mean of means is another number on ragged rows
        same(family, mind, accumulated(mind, layouts, size, counted=lambda part: part.learned), whole)


def test_a_micro_batch_without_labels_adds_nothing():
    mind, layouts = thinker("gpt2"), rows()
    silent = Batch.of([tiny.Layout(tiny.question(4, 1))], VOCAB)
    batch = Batch.of(layouts, VOCAB)
    same("gpt2", mind, mind.loss(batch, batch.learned) + mind.loss(silent, batch.learned), mind.loss(batch))


# --- processes -------------------------------------------------------------------------------------------------------


def test_two_processes_are_one(tmp_path):
    place = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "two_processes.py")]
    runs = [subprocess.Popen([*command, str(rank), "2", str(tmp_path)], env=place) for rank in range(2)]
    alone = {family: two_processes.learn(family, 0, 1) for family in ("gpt2", "gru")}
    assert [run.wait(timeout=180) for run in runs] == [0, 0]
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for family, state in alone.items():
        start = tiny.thinker(family, feedback="linear").state_dict()
        assert max(float((state[name] - start[name]).abs().max()) for name in state) > 1e-3  # it has learned
        for shared in both:
            assert _apart(shared[family], state) <= 1e-10
    assert _apart(both[0]["own count"], alone["gpt2"]) > 1e-6  # dividing by one's own count is noticed


def _apart(left, right) -> float:
    return max(float((left[name] - right[name]).abs().max()) for name in right)


# --- what has been generated with, and what is wrapped ---------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3-mixed", "gru"])
def test_learning_after_generating(family):
    """Nothing that generation leaves behind stands in the way of gradients, and its thoughts can be learned from."""
    mind = thinker(family, feedback="linear").train()
    done = mind.complete(rows(), Sampling(max_tokens=3, thoughts=True))
    assert mind.training and mind.model.training
    tiny.check(family, mind)
    layouts = [completion.layout for completion in done]
    batch = Batch.of(layouts, VOCAB)
    batch.thoughts = torch.zeros(*batch.shape, 32, dtype=torch.float64)
    for r, completion in enumerate(done):
        if completion.thoughts:
            batch.thoughts[r, batch.latents[r]] = torch.stack(completion.thoughts)
    loss = mind.loss(batch)
    assert abs(float((loss - mind.loss(Batch.of(layouts, VOCAB))).detach())) <= 1e-12
    loss.backward()


@pytest.mark.parametrize("schedule", ["cached", "recompute", "jacobi"])
def test_adapters(schedule):
    """A model with adapters is driven as the model it is."""
    plain = thinker("llama", feedback="linear")
    adapted = get_peft_model(
        plain.model, LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    )
    mind = Thinker(adapted.double().eval(), None, VOCAB, Thinking(schedule=schedule, rounds=4))
    tiny.check("llama", mind)
    with adapted.disable_adapter():
        without = tiny.naive_loss(mind, rows())
    assert abs(float((mind.loss(Batch.of(rows(), VOCAB)) - without).detach())) > 1e-3  # otherwise nothing was adapted


# --- half precision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", ["identity", "linear", "mlp", "soft", "pause"])
@pytest.mark.parametrize("family", ["gpt2", "mistral", "gru", "lstm"])
def test_bf16_autocast(family, feedback):
    """Runs in every schedule, is near float32, and leaves float32 gradients on float32 weights."""
    mind = thinker(family, feedback=feedback).float()
    batch = Batch.of(rows(), VOCAB)
    exact = float(mind.loss(batch).detach())
    for schedule in ("cached", "recompute", "jacobi"):
        mind.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = mind.loss(batch, schedule=schedule)
        loss.backward()
        assert loss.dtype == torch.float32
        if schedule != "jacobi" or feedback == "pause":
            assert abs(float(loss.detach()) - exact) < 0.1
        for name, parameter in mind.named_parameters():
            if parameter.grad is not None:
                assert parameter.grad.dtype == torch.float32 and bool(parameter.grad.isfinite().all()), name


def test_bf16_weights():
    for family in ("gpt2", "mistral", "gru"):
        mind = thinker(family, feedback="mlp", scale="table").bfloat16()
        loss = mind.loss(Batch.of(rows(), VOCAB))
        loss.backward()
        assert loss.dtype == torch.float32 and bool(loss.isfinite())
