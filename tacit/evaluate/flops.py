"""How much arithmetic an answer costs: a formula over the model's own matrices.

Counted are the multiplications and additions of matrix products, two for each weight and column: the linear maps of the
body, attention (every column of a read against all columns seen so far, as the kernels do it), the head where a token was
chosen and nowhere else, and the map that feeds a thought back. Norms, activations and softmax are left out.

A row is counted as if it were answered alone: no padding, no idle slots, no prefix read for others. So the number does not
depend on the batch; a batch does more arithmetic than this, and a prefix shared by all prompts less.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from tacit.engine.complete import Before, Completion
from tacit.layout import IGNORE, Layout
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.quiet.lm.route import Route


class Price(NamedTuple):
    """FLOPs of one model's parts."""

    column: int
    """Everything in the body but attention, for each column."""
    pair: int
    """Attention, for each column that is read and each that it is compared with."""
    head: int
    latent: int


def price(thinker) -> Price:
    """What a thinker's parts cost."""
    door = thinker.door
    tables = [module for module in door.body.modules() if isinstance(module, nn.Embedding)]
    looked_up = {id(p) for module in (*tables, door.embedding) for p in module.parameters()}
    body = sum(p.numel() for p in door.body.parameters() if p.ndim == 2 and id(p) not in looked_up)
    head = _weights(door.model.get_output_embeddings())
    chosen = 2 * head
    if thinker.thinking.ponders:
        chosen = thinker.aside.pondering.steps * (
            2 * head + step_flops(thinker)
        )  # a token is chosen from the mixture of all steps
    soft = thinker.thinking.feedback in ("soft", "sre")
    fed_back = _weights(thinker.feedback) + (head + thinker.vocabulary * door.embedding_width if soft else 0)
    return Price(2 * body, 0 if door.recurrent else 4 * _attention_width(door), chosen, 2 * fed_back)


def step_flops(thinker) -> int:
    """One step of the cell that ponders over a token, without the head."""
    return 2 * _weights(thinker.aside.pondering)


def reading_flops(thinker, lengths: Sequence[int]) -> float:
    """For each token of texts, of which so many columns are read in one go, and one head predicts behind each."""
    cost, columns = price(thinker), sum(lengths)
    pairs = sum(length**2 for length in lengths)
    return cost.column + cost.pair * pairs / columns + 2 * _weights(thinker.door.model.get_output_embeddings())


def thinking_flops(thinker, lengths: Sequence[int], route: "Route") -> float:
    """The same with one thought behind every token. Roles with a network of their own read the text once more, and where
    another interprets than thinks, thoughts are read twice; what adapters add is left out."""
    cost, columns, cast = price(thinker), sum(lengths), thinker.aside.cast
    players = [cast.player(role) for role in ("base", "reasoner", "interpreter")]
    text = cost.column + cost.pair * sum(length**2 for length in lengths) / columns
    own = len(route.thought) + len(route.behind)
    before = sum(length * (length + 1) / 2 for length in lengths) / columns  # columns of the text that a thought sees
    seen = own * before + own * (own + 1) / 2
    if route.together:
        seen = sum(own * length * (length + own * length) for length in lengths) / columns
    thought = (cost.column * own + cost.pair * seen) * (2 if players[1] != players[2] else 1)
    return text * len(set(players)) + thought + cost.head * (1 + route.length)


def _weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.ndim == 2)


def _attention_width(door) -> int:
    """Numbers in all queries of all layers for one column; keys shared by several heads save memory, not arithmetic."""
    config = door.body.config.get_text_config()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers * config.num_attention_heads * head


class Work(NamedTuple):
    """What answering one row takes."""

    forwards: int
    columns: int
    pairs: int
    heads: int
    latents: int

    def plus(self, other: "Work") -> "Work":
        return Work(*map(sum, zip(self, other)))

    def flops(self, price: Price) -> int:
        bodies = price.column * self.columns + price.pair * self.pairs
        return bodies + price.head * self.heads + price.latent * self.latents


NONE = Work(0, 0, 0, 0, 0)


def work(done: Completion, vocab: Vocab) -> Work:
    """The reads of one row answered alone."""
    seen = pairs = forwards = 0
    for width in _reads(done, vocab):
        seen += width
        pairs += width * seen
        forwards += 1
    plain = Work(forwards, seen, pairs, len(done.ids), done.latents)
    return plain if done.before is None else plain.plus(_thoughts_work(done, done.before))


def _thoughts_work(done: Completion, before: Before) -> Work:
    """Thoughts before every token, each of which sees the text so far and itself."""
    samples, columns, tokens = before
    texts = sum(len(done.prompt) + place for place in range(len(done.ids)))
    many = samples * len(done.ids)
    pairs = samples * texts * columns + many * columns * (columns + 1) // 2
    reads = max(1, tokens + 1) * len(done.ids)
    return Work(reads, many * columns, pairs, many * (tokens + 1) - len(done.ids), 0)


def reading_work(layout: Layout, thinker) -> Work:
    """The reads of one layout that is scored, up to its last learned token, which is never read itself."""
    learned = [column for column, label in enumerate(layout.labels) if label != IGNORE and column]
    ids = layout.ids[: learned[-1]] if learned else layout.ids
    latents = ids.count(thinker.vocab.latent)
    pairs = columns = forwards = 0
    for width, seen in _walk(ids, thinker):
        columns, pairs, forwards = columns + width, pairs + width * seen, forwards + 1
    return Work(forwards, columns, pairs, len(learned), latents)


def _walk(ids: list[int], thinker) -> Iterator[tuple[int, int]]:
    """(columns read, columns seen) of every read of a layout: a silent step begins a read of its own, unless what enters
    there is known beforehand, or several rounds are made over all silent steps together."""
    cuts = [column for column, token in enumerate(ids) if token == thinker.vocab.latent]
    if not cuts or thinker.thinking.feedback == "pause":
        yield len(ids), len(ids)
    elif thinker.thinking.schedule == "jacobi":
        first, after = cuts[0], cuts[-1] + 1
        yield first, first
        yield from [(after - first, after)] * thinker.thinking.rounds
        yield len(ids) - first, len(ids)
    else:
        yield from ((end - start, end) for start, end in zip([0, *cuts], [*cuts, len(ids)]))


def _reads(done: Completion, vocab: Vocab) -> Iterator[int]:
    """Width of every read: the prompt up to its first silent step, each silent step with the tokens behind it, each
    token that was chosen. The last token is chosen and never read."""
    ids, positions = done.prompt.ids, done.prompt.positions
    cuts = [i for i, token in enumerate(ids) if token == vocab.latent]
    if cuts:
        cuts += [i for i in range(cuts[0] + 1, len(ids)) if positions[i] != positions[i - 1] + 1 and i not in cuts]
    cuts = [0, *sorted(cuts), len(ids)]
    yield from (end - start for start, end in zip(cuts, cuts[1:]))
    yield from (1 for _ in done.ids[1:])
