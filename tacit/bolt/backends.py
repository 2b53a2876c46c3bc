"""Models that answer in this process: one of our own, and one that only pretends."""

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

from tacit.bolt.asking import REFUSED, Answer, Backend, OnAnswer, Request

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Dummy(Backend):
    """Says some words of what it was asked, always the same ones for the same request."""

    WORDS = 12

    def answer(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        for number, one in enumerate(requests):
            words = one.user.split()
            start = int.from_bytes(blake2b(f"{one.seed} {one.user}".encode(), digest_size=8).digest(), "big") % len(
                words
            )
            said = (words[start:] + words[:start])[: min(self.WORDS, self.settings.max_tokens)]
            on_answer(number, Answer(" ".join(said), tokens_in=len(words), tokens_out=len(said)))


class Engine(Backend):
    """A run, a folder or a hub model, by our own sampler. What it says to a request does not depend on the others."""

    @cached_property
    def thinker(self) -> "Thinker":
        from tacit.thinker import Thinker

        return Thinker.from_pretrained(self.settings.model)

    def answer(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        from tacit.engine.sampling import Sampling
        from tacit.layout import Layout, Segment

        thinker, settings = self.thinker, self.settings
        prompts = [self._ids(one) for one in requests]
        rooms = [self._room(len(ids)) for ids in prompts]
        fit = [n for n, room in enumerate(rooms) if room > 0]
        for number in set(range(len(requests))) - {*fit}:
            reason = f"the request has {len(prompts[number])} tokens, and the model has {thinker.door.limit} positions"
            on_answer(number, Answer(fault=REFUSED, tokens_in=len(prompts[number]), reason=reason))
        done = thinker.complete(
            [Layout(Segment("question", tuple(prompts[n]))) for n in fit],
            [
                Sampling(max_tokens=rooms[n], temperature=settings.temperature, seed=requests[n].seed, logprobs=False)
                for n in fit
            ],
            slots=settings.parallel,
            draws=[int.from_bytes(blake2b(requests[n].user.encode(), digest_size=7).digest(), "big") for n in fit],
        )
        for number, one in zip(fit, done):
            fault = "cut off" if one.stopped == "length" else ""
            on_answer(number, Answer(one.text, fault, len(prompts[number]), len(one.ids)))

    def _ids(self, one: Request) -> list[int]:
        tokenizer = self.thinker.tokenizer
        if tokenizer.chat_template:
            told = [{"role": "system", "content": one.system}] if one.system else []
            chat = [*told, {"role": "user", "content": one.user}]
            words = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
            return list(tokenizer(words, add_special_tokens=False)["input_ids"])
        return list(tokenizer("\n\n".join(filter(None, (one.system, one.user, ""))))["input_ids"])

    def _room(self, asked: int) -> int:
        limit = self.thinker.door.limit
        return self.settings.max_tokens if limit is None else min(self.settings.max_tokens, limit - asked)
