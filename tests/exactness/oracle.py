"""What latent thinking means, in the plainest torch there is: one row, no cache, no padding, whole forwards.

Nothing of the engine is imported here. A row of ids with n latents costs n + 1 forwards of the unmodified model: each
forward makes one more thought known. Everything the engine does has to give these numbers.

Shapes: T tokens of one row, H hidden size, E embedding size, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Feed = Callable[[Tensor], Tensor]
IGNORE = -100


@dataclass(frozen=True)
class Mind:
    """A model and how it thinks."""

    model: torch.nn.Module
    latent: int
    feed: Feed
    source: str = "last"
    window: int | None = None
    logits: Callable[[Tensor, int], Tensor] | None = None
    """(V,) of a column and the id that stands there, to what may follow; None: as they are."""
    close: int | None = None
    """The token whose column gets one more fed-back state on top of its embedding, if any does."""

    def embed(self, ids: Sequence[int]) -> list[Tensor]:
        return list(self.model.get_input_embeddings()(torch.tensor(ids)))

    def forward(self, embeds: Sequence[Tensor], positions: Sequence[int] | None = None):
        """One whole forward: logits (T, V) and every layer's states (T, H)."""
        T = len(embeds)
        out = self.model(
            inputs_embeds=torch.stack(list(embeds))[None],
            position_ids=torch.tensor([list(range(T) if positions is None else positions)]),
            # All ones, lest skipped positions be taken for several documents in one row.
            attention_mask=torch.ones(1, T, dtype=torch.long),
            output_hidden_states=True,
            use_cache=False,
        )
        return out.logits[0], [layer[0] for layer in out.hidden_states]

    def spring(self, layers: list[Tensor]) -> Tensor:
        """(T, H): the states from which thoughts are made."""
        at = {"last": -1, "penultimate": -2, "middle": len(layers) // 2}[self.source]
        return layers[at]

    def fed(self, ids: Sequence[int]) -> list[int]:
        """The columns that a state is fed into."""
        return [c for c, token in enumerate(ids) if token == self.latent or (token == self.close and c > 0)]

    def enter(self, token: int, looked_up: Tensor, state: Tensor) -> Tensor:
        return self.feed(state) if token == self.latent else looked_up + self.feed(state)

    def late(self, columns: Sequence[int]) -> set[int]:
        """Those latent columns through whose source gradient flows."""
        return set(columns if self.window is None else columns[len(columns) - min(self.window, len(columns)) :])


def thoughtful(mind: Mind, ids: Sequence[int], positions: Sequence[int] | None = None) -> list[Tensor]:
    """The T inputs of a row, every thought made by a forward of its own."""
    embeds = mind.embed(ids)
    columns = mind.fed(ids)
    late = mind.late(columns)
    for column in columns:
        state = mind.spring(mind.forward(embeds, positions)[1])[column - 1]
        embeds[column] = mind.enter(ids[column], embeds[column], state if column in late else state.detach())
    return embeds


def jacobi(mind: Mind, ids: Sequence[int], rounds: int, positions: Sequence[int] | None = None) -> list[Tensor]:
    """All thoughts at once: first the latent token's own embedding, then `rounds` times what the forward before gave."""
    embeds = mind.embed(ids)
    columns = [c for c, token in enumerate(ids) if token == mind.latent]
    late = mind.late(columns)
    for _ in range(rounds):
        states = mind.spring(mind.forward(embeds, positions)[1])
        for column in columns:
            state = states[column - 1]
            embeds[column] = mind.feed(state if column in late else state.detach())
    return embeds


def replayed(mind: Mind, ids: Sequence[int], vectors: dict[int, Tensor]) -> list[Tensor]:
    """The inputs of a row whose thoughts are given, by column."""
    return [vectors.get(column, embed) for column, embed in enumerate(mind.embed(ids))]


def scores(mind: Mind, embeds: Sequence[Tensor], ids: Sequence[int], positions=None) -> Tensor:
    """(T, V) logits, confined where the model confines them."""
    logits, _ = mind.forward(embeds, positions)
    return logits if mind.logits is None else torch.stack([mind.logits(row, said) for row, said in zip(logits, ids)])


def row_loss(mind: Mind, embeds, ids, labels, weights=None, positions=None) -> Tensor:
    """Sum of the negative log-likelihoods of one row's labels. `labels[c]` is what column c - 1 must predict."""
    logp = scores(mind, embeds, ids, positions).log_softmax(-1)
    total = logp.new_zeros(())
    for column in range(1, len(ids)):
        if labels[column] != IGNORE:
            weight = 1.0 if weights is None else weights[column]
            total = total - weight * logp[column - 1, labels[column]]
    return total


@dataclass
class Written:
    """What greedy decoding gave."""

    ids: list[int]
    thoughts: list[Tensor]
    text: list[int]


@torch.no_grad()
def greedy(mind: Mind, prompt: Sequence[int], tokens: int, end: int, marks, cap: int = 64, rounds=None) -> Written:
    """The likeliest continuation. Latents may stand in the prompt and may be chosen; `tokens` counts what is written, which
    `marks` are not. Behind `cap` latents in a row a thought is closed (by the last mark); twice `tokens` marks end it all.
    With `rounds`, the prompt's own thoughts are made all at once."""
    given = None if rounds is None else jacobi(mind, prompt, rounds)
    embeds: list[Tensor] = []
    said: list[int] = []
    done = Written([], [], [])
    logits, spring = None, None
    while True:
        inside = len(said) < len(prompt)
        token = prompt[len(said)] if inside else int(logits.argmax())
        if not inside:
            if token == mind.latent and said[-cap:] == [mind.latent] * cap:
                token = marks[-1]
            done.ids.append(token)
            if token not in (end, mind.latent, *marks):
                done.text.append(token)
            if token == end or len(done.text) >= tokens or sum(i in marks for i in done.ids) > 2 * tokens:
                return done
        said.append(token)
        if token == mind.latent:
            embeds.append(mind.feed(spring) if given is None or not inside else given[len(embeds)])
            done.thoughts.append(embeds[-1])
        elif token == mind.close:
            embeds.append(mind.enter(token, mind.embed([token])[0], spring))
        else:
            embeds += mind.embed([token])
        if len(said) >= len(prompt) or prompt[len(said)] in (mind.latent, mind.close):
            all_logits, layers = mind.forward(embeds)
            spring = mind.spring(layers)[-1]
            logits = all_logits[-1] if mind.logits is None else mind.logits(all_logits[-1], token)


def quiet(mind: Mind, ids: Sequence[int], thought: Sequence[int], column: int, offset: int = 0):
    """The row cut off behind `column`, and a thought of its own there: logits (R, V) and last states (R, H) of the thought."""
    T, R = column + 1, len(thought)
    positions = [*range(T), *range(T + offset, T + offset + R)]
    logits, layers = mind.forward(mind.embed([*ids[:T], *thought]), positions)
    return logits[T:], layers[-1][T:]


# --- feedback, once more ---------------------------------------------------------------------------------------------


def linear(weight: Tensor, bias: Tensor) -> Feed:
    return lambda hidden: weight @ hidden + bias


def mlp(inner, outer, norm) -> Feed:
    def feed(hidden: Tensor) -> Tensor:
        x = inner.weight @ hidden + inner.bias
        x = x * 0.5 * (1 + torch.erf(x / 2**0.5))
        return layer_norm(outer.weight @ x + outer.bias, norm)

    return feed


def layer_norm(x: Tensor, norm) -> Tensor:
    return (x - x.mean()) / (x.var(unbiased=False) + norm.eps).sqrt() * norm.weight + norm.bias


def linear_ln(map, norm) -> Feed:
    return lambda hidden: layer_norm(map.weight @ hidden + map.bias, norm)


def linear_rms(map, norm, shift) -> Feed:
    def feed(hidden: Tensor) -> Tensor:
        x = map.weight @ hidden + map.bias
        return x / (x.square().mean() + norm.eps).sqrt() * norm.weight + shift

    return feed


def soft(model, without: Sequence[int] = ()) -> Feed:
    """What the whole model's head says of all ids but a few, weighed over what its embedding makes of them."""
    head = model.get_output_embeddings()
    table = model.get_input_embeddings()
    ids = torch.tensor([i for i in range(head.weight.shape[0]) if i not in without])
    return lambda hidden: head(hidden)[ids].softmax(-1) @ table(ids)


def constant(vector: Tensor) -> Feed:
    return lambda hidden: vector


def scaled(feed: Feed, size: float) -> Feed:
    def scale(hidden: Tensor) -> Tensor:
        out = feed(hidden)
        return out * size / out.square().mean().sqrt()

    return scale


def decisions(open_: int, latent: int, close: int, temperature: float = 1.0) -> Callable[[Tensor, int], Tensor]:
    """A learned stop: inside a thought only `latent` and `close` may follow, and outside it neither."""

    def logits(row: Tensor, said: int) -> Tensor:
        allowed = torch.ones_like(row, dtype=torch.bool)
        allowed[[latent, close]] = False
        if said in (open_, latent):
            allowed = ~allowed
            row = row / temperature
        return torch.where(allowed, row, torch.tensor(float("-inf"), dtype=row.dtype))

    return logits
