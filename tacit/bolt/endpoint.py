"""Any server that speaks the OpenAI protocol, asked by many requests at once, patiently."""

import asyncio
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import current_thread, main_thread
from typing import Any

import httpx2

from tacit.bolt.asking import REFUSED, Answer, Backend, OnAnswer, Request
from tacit.bolt.secrets import masked, secret
from tacit.bolt.synthesis import Synthesis
from tacit.errors import TacitError
from tacit.stopping import SIGNALS, Interrupted

FIRST, LONGEST = 0.5, 120.0
"""Seconds of the first pause, and of the longest."""
BUSY = {408, 409, 425, 429, 500, 502, 503, 504, 529}
STOPPED = {
    401: "the key is wrong",
    402: "there is nothing left to pay with",
    403: "the key may not do this",
    404: "the address or the model is unknown there",
}
NOTICED, APART = 2.0, 15.0
"""Seconds of a pause that is told of, and between two of those."""
TOLD = 300
"""Characters of a server's own words that are shown."""


class Endpoint(Backend):
    """Chat completions over HTTP."""

    def __init__(self, settings: Synthesis):
        super().__init__(settings)
        self.key = None if settings.key is None else secret(settings.key)
        self.pace = _Pace(settings.per_minute)
        self.told_at = -math.inf
        self.trust = httpx2.create_ssl_context()
        """Made once: reading the certificates of the machine takes longer than many requests."""

    def answer(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        asyncio.run(self._all(requests, on_answer))

    async def _all(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        headers = {} if self.key is None else {"authorization": f"Bearer {self.key}"}
        waiting, over = iter(enumerate(requests)), asyncio.Event()
        faults: list[TacitError | Interrupted] = []
        async with httpx2.AsyncClient(headers=headers, timeout=self.settings.timeout, verify=self.trust) as client:

            async def take() -> None:
                while not over.is_set() and (taken := next(waiting, None)):
                    try:
                        answer = await self._one(client, taken[1], over)
                        if answer is not None:
                            on_answer(taken[0], answer)
                    except TacitError as fault:
                        faults.append(fault)
                        over.set()

            def stop() -> None:
                faults.append(Interrupted("stopped; what was asked is answered and kept, and the same command goes on"))
                over.set()

            # As many takers as may ask at once: no task and no memory for what is not under way. When one of them has to stop,
            # or a signal comes, nothing more is sent, but what was sent may already be paid for, so its answer is waited for and
            # kept.
            with _first_signal(stop):
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.settings.parallel, len(requests))):
                        group.create_task(take())
        if faults:
            raise faults[0]

    async def _one(self, client: httpx2.AsyncClient, one: Request, over: asyncio.Event) -> Answer | None:
        """One answer, however often the server has to be asked for it; None if nobody may be asked any more."""
        settings, fault = self.settings, ""
        for attempt in range(settings.patience + 1):
            if not await _passed(self.pace.pause(), over):
                return None
            asked = 0.0
            try:
                response = await client.post(settings.url.rstrip("/") + "/chat/completions", json=self._body(one))
            except (httpx2.RequestError, httpx2.InvalidURL) as error:
                # What the client says of a request it could not build may quote the headers, and the key with them.
                told_of = "" if isinstance(error, httpx2.LocalProtocolError) else f": {error}"
                fault = f"{type(error).__name__}{told_of}"
            else:
                if response.status_code == 200:
                    answer = _read(response)
                    return replace(answer, reason=self._shown(answer.reason))
                fault = f"status {response.status_code}: {self._shown(response.text)}"
                if response.status_code in STOPPED:
                    raise TacitError(f"{settings.url} says {fault} — {STOPPED[response.status_code]}")
                if response.status_code not in BUSY:
                    return Answer(fault=REFUSED, reason=fault)
                asked = _seconds(response.headers.get("retry-after"))
            pause = max(asked, min(FIRST * 2**attempt, LONGEST) * random.uniform(0.5, 1.0))
            if attempt < settings.patience:
                self._tell(fault, pause)
                if not await _passed(pause, over):
                    return None
        raise TacitError(
            f"{settings.url} did not answer in {settings.patience + 1} attempts (the last: {self._shown(fault)}). What was "
            "answered is kept: the same command goes on. Check bolt.synthesis.url, or raise bolt.synthesis.patience"
        )

    def _tell(self, fault: str, pause: float) -> None:
        """Say now and then what is waited for."""
        now = time.monotonic()
        if pause >= NOTICED and now - self.told_at >= APART:
            self.told_at = now
            print(
                f"{self.settings.url}: {self._shown(fault)}; asking again in {pause:.0f} s", file=sys.stderr, flush=True
            )

    def _body(self, one: Request) -> dict[str, Any]:
        told = [{"role": "system", "content": one.system}] if one.system else []
        return {
            "model": self.settings.model,
            "messages": [*told, {"role": "user", "content": one.user}],
            "temperature": self.settings.temperature,
            "max_tokens": self.settings.max_tokens,
            "seed": one.seed,
        }

    def _shown(self, text: str) -> str:
        """A server's words without the key, should it repeat it."""
        return " ".join(masked(text, self.key).split())[:TOLD]


def _seconds(told: str | None) -> float:
    """How long the server wants to be left alone; dates are not looked at."""
    try:
        return min(max(float(told or 0), 0.0), LONGEST)
    except ValueError:
        return 0.0


def _read(response: httpx2.Response) -> Answer:
    """What stands in a response, if it is what the protocol says."""
    try:
        told: Any = response.json()
        usage = told.get("usage") or {}
        read, written = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        choice = told["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Answer(fault="malformed", reason=response.text)
    if not isinstance(text, str):
        said = choice["message"].get("refusal")
        return Answer("", REFUSED if said else "empty", read, written, str(said or ""))
    return Answer(text, "cut off" if choice.get("finish_reason") == "length" else "", read, written)


async def _passed(seconds: float, over: asyncio.Event) -> bool:
    """A pause that ends early when all is over; whether it did not."""
    with suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), seconds)
    return not over.is_set()


@contextmanager
def _first_signal(stop: Callable[[], None]) -> Iterator[None]:
    """The first signal to end calls `stop`; a second does what signals do. Only the main thread may watch for them."""
    if current_thread() is not main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def first() -> None:
        put_back()
        stop()

    def put_back() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        put_back()


class _Pace:
    """Requests one after the other in even steps, so that a minute never has more of them than it may."""

    def __init__(self, per_minute: float | None):
        self.apart, self.next = 0.0 if per_minute is None else 60.0 / per_minute, 0.0

    def pause(self) -> float:
        """Seconds until the next request may be sent."""
        now = time.monotonic()
        at = max(now, self.next)
        self.next = at + self.apart
        return at - now
