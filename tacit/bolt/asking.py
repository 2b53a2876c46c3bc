"""What a stronger model is asked, and what it answers: the one interface of all that can answer."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import yaml

from tacit.bolt.synthesis import Synthesis
from tacit.errors import TacitError
from tacit.methods.bolt import Bolt
from tacit.whole import write_whole

PROMPTS = Path(__file__).parent / "prompts"
STYLES = {
    "latent_thoughts": ("latent_thoughts",),
    "wrap_baseline": ("wrap_child", "wrap_scholar", "wrap_encyclopedia", "wrap_dialogue"),
    "wrap_cot": ("wrap_cot",),
}
"""The prompts of each kind of synthesis; where there are several, one is drawn for every document and repeat."""
PLACE = re.compile(r"\{(\w+)\}")
REFUSED = "refused"
"""The fault of what a server will never answer, however often it is asked."""
IN_A_ROW = 16
"""So many requests refused one after the other are no accident of their texts."""


@dataclass(frozen=True)
class Request:
    """One question to a model."""

    system: str
    user: str
    seed: int
    """Equal requests with other seeds may be answered otherwise."""


@dataclass(frozen=True)
class Answer:
    """What came back: a text, or the reason why there is none; and the tokens that it took."""

    text: str = ""
    fault: str = ""
    """empty, cut off, malformed, refused, or with a mark inside; nothing for an answer that can be used."""
    tokens_in: int = 0
    tokens_out: int = 0
    reason: str = ""
    """What the server said, where it said why there is no text."""


OnAnswer = Callable[[int, Answer], None]


class Backend(ABC):
    """Something that answers."""

    def __init__(self, settings: Synthesis):
        self.settings = settings

    @abstractmethod
    def answer(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        """Answer every request, in any order; `on_answer` is told a request's number and its answer as soon as it is there."""


BACKENDS = {
    "dummy": "tacit.bolt.backends:Dummy",
    "engine": "tacit.bolt.backends:Engine",
    "endpoint": "tacit.bolt.endpoint:Endpoint",
}


@cache
def _prompt(style: str) -> dict[str, str]:
    return yaml.safe_load((PROMPTS / f"{style}.yaml").read_text(encoding="utf-8"))


def request(style: str, seed: int, **parts: str) -> Request:
    """A prompt with the parts of a document in it. Braces of a document mean nothing."""
    told = _prompt(style)
    user = PLACE.sub(lambda place: parts[place[1]], told["user"].strip())
    return Request(told.get("system", "").strip(), user, seed)


def judged(answer: Answer) -> Answer:
    """An answer whose text can be learned from, or one with a fault."""
    text = answer.text.strip()
    fault = answer.fault
    if not fault and not text:
        fault = "empty"
    if not fault and any(mark in text for mark in Bolt.tokens):
        fault = "with a mark inside"
    return replace(answer, text="" if fault else text, fault=fault)


class Answered:
    """Answers by the hash of what was asked, one small file each: nothing is asked twice, whoever asks."""

    def __init__(self, folder: Path, settings: Synthesis):
        self.folder = folder
        self.about = [settings.backend, settings.url, settings.model, settings.temperature, settings.max_tokens]

    def _file(self, one: Request) -> Path:
        told = json.dumps([*self.about, one.system, one.user, one.seed])
        name = hashlib.sha256(told.encode()).hexdigest()
        return self.folder / name[:2] / f"{name[2:34]}.json"

    def find(self, one: Request) -> Answer | None:
        """The answer, if it is there. A file that is damaged is none."""
        try:
            return Answer(**json.loads(self._file(one).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, one: Request, answer: Answer) -> None:
        """Whole or not at all."""
        file = self._file(one)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(asdict(answer), ensure_ascii=False))


@dataclass
class Account:
    """What has been asked and paid for."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, answers: Iterable[Answer]) -> "Account":
        for answer in answers:
            self.requests += 1
            self.tokens_in += answer.tokens_in
            self.tokens_out += answer.tokens_out
        return self

    def price(self, settings: Synthesis) -> float:
        return (self.tokens_in * settings.price_in + self.tokens_out * settings.price_out) / 1e6


class Asker:
    """Asks a backend for what is not answered yet, until every request has an answer that can be used or no attempt is left."""

    def __init__(self, backend: Backend, store: Answered):
        self.backend, self.store, self.settings = backend, store, backend.settings
        self.spent = Account()
        """By this process."""
        self.refused: list[tuple[Request, Answer]] = []
        """Since the last answer, and for nothing. They are kept when there is an answer again, and only then: where a server
        refuses all there is, the fault is not in what was asked, and will be mended."""

    def ask(self, requests: Sequence[Request]) -> list[list[Answer]]:
        """All attempts at each request, the last of which is usable or the last that there may be."""
        attempts: list[list[Answer]] = [[] for _ in requests]
        for attempt in range(self.settings.attempts):
            open_ = [n for n, tried in enumerate(attempts) if not tried or tried[-1].fault not in ("", REFUSED)]
            again = {n: _again(requests[n], attempt) for n in open_}
            stored = {n: self.store.find(one) for n, one in again.items()}
            paid = self._paid({n: again[n] for n, answer in stored.items() if answer is None})
            for n, answer in stored.items():
                attempts[n].append(answer or paid[n])
        return attempts

    def _paid(self, wanted: dict[int, Request]) -> dict[int, Answer]:
        # Equal requests of one call are asked once.
        different = list(dict.fromkeys(wanted.values()))
        found: dict[Request, Answer] = {}

        def on_answer(number: int, answer: Answer) -> None:
            told = judged(answer)
            found[different[number]] = told
            self.spent.add([told])
            self._keep(different[number], told)
            spent, budget = self.spent.price(self.settings), self.settings.budget
            if budget is not None and spent > budget:
                raise TacitError(
                    f"the budget of {budget:g} is spent ({spent:.2f} by this process); what was paid for is kept. Raise "
                    "bolt.synthesis.budget to go on"
                )

        if different:
            self.backend.answer(different, on_answer)
        return {n: found[one] for n, one in wanted.items()}

    def _keep(self, one: Request, told: Answer) -> None:
        self.refused.append((one, told))
        if told.fault != REFUSED or told.tokens_out:
            while self.refused:
                self.store.keep(*self.refused.pop(0))
        elif len(self.refused) >= IN_A_ROW:
            raise TacitError(
                f"{self.settings.model} refused {len(self.refused)} requests one after the other, the last with: {told.reason}. "
                "What was answered before is kept, and these will be asked again: mend what it says and give the same command"
            )


def _again(one: Request, attempt: int) -> Request:
    return Request(one.system, one.user, one.seed + attempt)
