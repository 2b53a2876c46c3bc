"""From questions to actions: answer, judge, compare."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tacit.engine.complete import Completion
from tacit.engine.sampling import Sampling
from tacit.errors import TacitError
from tacit.evaluate.account import account, ends
from tacit.example import Encoded, Example
from tacit.methods.base import Lesson, World
from tacit.rl.actions import Actions, rows_of
from tacit.rl.advantages import advantages, deviation, mean
from tacit.rl.answers import Group, branched, sampled
from tacit.rl.rewards import Judged, call_function, group_rewards

if TYPE_CHECKING:
    from tacit.methods.grpo import Grpo
    from tacit.thinker import Thinker

ROOM = 1 << 20
"""Series of random numbers kept for the answers to one question in one epoch."""
SAME = 1e-12


def act(method: "Grpo", thinker: "Thinker", lesson: Lesson) -> Actions:
    """Answer the questions of a lesson and judge the answers."""
    world = lesson.world
    if world is None:
        raise TacitError(
            "answers are graded by their task, and this training was given none; pass world=World(task, examples) to fit, or "
            "train by a recipe"
        )
    groups = answer(method, thinker, lesson, world)
    examples = [world.examples[index] for _, index in lesson.picks]
    judged = [judge(method, thinker, *asked, world) for asked in zip(groups, lesson.examples, examples)]
    extra = _extra(method, thinker, groups, examples)
    rows, told = [], []
    for group, judgements, more in zip(groups, judged, extra):
        drawn = group.stops is None
        own = group_rewards(judgements, group.shares, method.group, method.reward, drawn)
        rewards = [a + b for a, b in zip(own, more)]
        better = advantages(rewards, group.shares, epsilon=method.epsilon, scale=method.scale_rewards, sampled=drawn)
        rows.append(rows_of(group, better, method.group, thinker.vocab, thinker.thinking.max_latents))
        told.append(_told(group, judgements, rewards))
    actions = Actions.of(rows, thinker, {name: sum(one[name] for one in told) for name in told[0]})
    if world.start is not None:
        with world.start.thinker() as frozen, torch.no_grad():
            actions.reference, _ = actions.choices(frozen, method.temperature)
    return actions


def answer(method: "Grpo", thinker: "Thinker", lesson: Lesson, world: World) -> list[Group]:
    """Which answers a question gets depends on the seed, the epoch and the question alone."""
    prompts = [method.prompt(ex, thinker.vocab) for ex in lesson.examples]
    rules = [
        Sampling(
            max_tokens=method.max_tokens,
            temperature=method.temperature,
            ends=ends(prompt, ex.cue, thinker.vocab),
            seed=world.seed,
        )
        for prompt, ex in zip(prompts, lesson.examples)
    ]
    draws = [(epoch << 32 | index) * ROOM for epoch, index in lesson.picks]
    if method.estimator == "exact":
        return branched(thinker, prompts, method.answers, rules, draws)
    return sampled(thinker, prompts, method.group, rules, draws)


def judge(
    method: "Grpo", thinker: "Thinker", group: Group, encoded: Encoded, example: Example, world: World
) -> list[Judged]:
    """Right or wrong, in the asked form or not, and how much was thought."""
    silent, cue = method.silent(), world.task.template.cue.strip()
    announced = any(segment.name == "cue" for segment in group.prompt.segments)
    found = []
    for done in group.answers:
        parts = account(done, encoded.cue, thinker.vocab, method.around)
        right = world.task.grade(example, done.text).correct
        before, *behind = done.text.split(cue) if cue else [done.text]
        formed = not cue or len(behind) == (0 if announced else 1)
        if silent:
            again = thinker.vocab.open in done.ids  # thinks a second time
            formed = formed and not again and (announced or not cue or not before.strip())
        found.append(Judged(right, formed, parts.latents + parts.thought_tokens))
    return found


def _extra(
    method: "Grpo", thinker: "Thinker", groups: Sequence[Group], examples: Sequence[Example]
) -> list[list[float]]:
    """What the user's own functions give to each answer, by question."""
    if not method.reward.functions:
        return [[0.0] * len(group.answers) for group in groups]
    pairs = [(example, done) for example, group in zip(examples, groups) for done in group.answers]
    prompts = [thinker.tokenizer.decode(done.prompt.ids) for _, done in pairs]
    columns = _columns(pairs)
    total = [0.0] * len(pairs)
    for one in method.reward.functions:
        given = call_function(one.function, prompts, [done.text for _, done in pairs], columns)
        total = [a + one.weight * b for a, b in zip(total, given)]
    found, at = [], 0
    for group in groups:
        found.append(total[at : at + len(group.answers)])
        at += len(group.answers)
    return found


def _columns(pairs: Sequence[tuple[Example, Completion]]) -> dict[str, list[Any]]:
    """The fields of the rows, those of their own among them, and what an answer has besides its text."""
    rows = [
        dict(example.extra or {})
        | {"question": example.question, "steps": list(example.steps), "answer": example.answer, "id": example.id}
        | {"latents": done.latents, "completion_ids": done.ids}
        for example, done in pairs
    ]
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)}


def _told(group: Group, judged: Sequence[Judged], rewards: Sequence[float]) -> dict[str, float]:
    """What there is to know about the answers to one question."""
    shares = group.shares

    def share(claims: Sequence[bool]) -> float:
        return mean([float(claim) for claim in claims], shares)

    right = share([one.correct and one.well_formed for one in judged])
    lengths = [float(one.length) for one in judged]
    met = [reward for reward, part in zip(rewards, shares) if part > 0]
    return {
        "reward": mean(rewards, shares),
        "reward_std": deviation(rewards, shares, group.stops is None),
        "right": right,
        "well_formed": share([one.well_formed for one in judged]),
        "length": mean(lengths, shares),
        "length_std": deviation(lengths, shares, group.stops is None),
        "answer_tokens": mean([float(len(done.ids)) for done in group.answers], shares),
        "cut_off": share([done.stopped == "length" for done in group.answers]),
        "all_right": float(right > 1 - SAME),
        "none_right": float(right < SAME),
        "all_alike": float(max(met) - min(met) < SAME),
    }
