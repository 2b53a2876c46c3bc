"""Tiny random models in float64, rows for them to read, and the one comparison that most tests here make."""

from functools import cache

import torch

from tacit.batch import Batch
from tacit.layout import Layout, Segment
from tacit.models.scratch import Scratch, build
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tacit.vocab import Vocab
from tests.exactness import oracle

VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0)
SIZE = 24
SILENT = (VOCAB.open, VOCAB.latent, VOCAB.close)
POSITIONS = 256
WINDOW = 5
"""Of the sliding families; the rows below are longer."""

FAMILIES: dict[str, dict] = {
    "gpt2": {},
    "gpt2-untied": {"tied": False},
    "llama": {"kv_heads": 2},
    "llama-tied": {"kv_heads": 2, "tied": True},
    "qwen2": {"kv_heads": 2},
    "qwen3": {"kv_heads": 2},
    "mistral": {"kv_heads": 2, "window": WINDOW},
    "gemma": {},
    "olmo2": {},
    "phi": {},
    "gpt_neox": {},
    "opt": {},
    "gru": {},
    "gru-tied": {"tied": True},
    "lstm": {},
    "qwen2-mixed": {"kv_heads": 2, "window": WINDOW},
    "gemma3-mixed": {},
}
RECURRENT = ("gru", "gru-tied", "lstm")
ROUNDED = ("llama", "qwen2", "qwen3", "mistral", "gemma", "olmo2")
"""Families that normalise in float32 whatever they are given."""


def gradient_bound(family: str) -> float:
    return 1e-6 if family.startswith(ROUNDED) else 1e-10


@cache
def _state(family: str, layers: int) -> dict[str, torch.Tensor]:
    """Weights large enough that attention, positions and thoughts all matter."""
    generator = torch.Generator().manual_seed(7)
    state = {}
    for name, value in _build(family, layers).state_dict().items():
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        size = 0.5 if "emb" in name or name.endswith("wte.weight") else 0.4 if family in RECURRENT else 0.15
        state[name] = noise * size if value.dim() > 1 else value + 0.1 * noise
    return state


def _build(family: str, layers: int) -> torch.nn.Module:
    name = family.partition("-")[0]
    if family == "gemma3-mixed":
        model = _gemma3(layers)
    else:
        head = {} if name in ("gru", "lstm") else {"heads": 4, "positions": POSITIONS}
        scratch = Scratch(family=name, layers=layers, hidden=32, **head, **FAMILIES[family])
        model = build(scratch, SIZE, eos=VOCAB.eos, pad=VOCAB.pad, seed=0)
    if family == "qwen2-mixed":
        config = model.config
        config.layer_types = ["full_attention", *["sliding_attention"] * (layers - 1)]
        model = type(model)(config)
    return model.double().eval()


def _gemma3(layers: int) -> torch.nn.Module:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    kinds = ["sliding_attention", "full_attention"] * layers
    config = Gemma3TextConfig(
        vocab_size=SIZE,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        layer_types=kinds[:layers],
        sliding_window=WINDOW,
        max_position_embeddings=POSITIONS,
        query_pre_attn_scalar=8,
        pad_token_id=VOCAB.pad,
        eos_token_id=VOCAB.eos,
        bos_token_id=None,
    )
    config._attn_implementation = "sdpa"
    return Gemma3ForCausalLM(config)


def model(family: str, layers: int = 2) -> torch.nn.Module:
    made = _build(family, layers)
    made.load_state_dict(_state(family, layers))
    made.tie_weights()
    return made


def checkpoint(model) -> None:
    """Make activations again in the backward pass; the older name of the method warns where both exist."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()


def thinker(family: str, layers: int = 2, **thinking) -> Thinker:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(10)
        made = Thinker(model(family, layers), None, VOCAB, Thinking(**{"max_latents": 6, **thinking}))
        generator = torch.Generator().manual_seed(11)
        for parameter in made.feedback.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return made.eval()


def mind(thinker: Thinker) -> oracle.Mind:
    """The same thinker as the oracle sees it: the same weights, other code."""
    thinking, module = thinker.thinking, thinker.feedback.module
    feed = {
        "identity": lambda: lambda hidden: hidden,
        "linear": lambda: oracle.linear(module.map.weight, module.map.bias),
        "linear_ln": lambda: oracle.linear_ln(module.map, module.norm),
        "linear_rms": lambda: oracle.linear_rms(module.map, module.norm, module.shift),
        "linear_ecf": lambda: oracle.linear_rms(module.map, module.norm, module.shift),
        "mlp": lambda: oracle.mlp(module.inner, module.outer, module.norm),
        "soft": lambda: oracle.soft(thinker.model),
        "sre": lambda: oracle.soft(thinker.model, (VOCAB.latent, VOCAB.close)),
        "pause": lambda: oracle.constant(module.vector),
    }[thinking.feedback]()
    if thinking.scale == "table":
        feed = oracle.scaled(feed, float(thinker.feedback.rms))
    decide = oracle.decisions(VOCAB.open, VOCAB.latent, VOCAB.close, thinking.stop_temperature)
    return oracle.Mind(
        thinker.model,
        VOCAB.latent,
        feed,
        thinking.source,
        thinking.window,
        decide if thinking.confine else None,
        VOCAB.close if thinking.close == "token+thought" else None,
    )


# --- rows ------------------------------------------------------------------------------------------------------------


def words(count: int, seed: int) -> tuple[int, ...]:
    """Ordinary tokens: none of those with a meaning of their own."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(5, SIZE, (count,), generator=generator).tolist())


def question(count: int, seed: int) -> Segment:
    return Segment("question", words(count, seed))


def answer(count: int, seed: int, learn: float = 1.0) -> Segment:
    return Segment("answer", (*words(count, seed), VOCAB.eos), learn)


def rows() -> list[Layout]:
    """No thought, one, several in a row, one without markers, decisions that are learned, and different lengths."""
    thought = VOCAB.thought
    return [
        Layout(question(5, 1), answer(3, 2)),
        Layout(question(3, 3), *thought(3), answer(2, 4)),
        Layout(question(4, 5), *thought(1), Segment("steps", words(2, 6), 1.0), *thought(2, 1.0), answer(1, 7)),
        Layout(question(2, 8), Segment("thought", (VOCAB.latent,) * 2), answer(4, 9)),
        Layout(question(8, 10), *thought(4, 1.0), answer(3, 11)),
    ]


# --- comparing -------------------------------------------------------------------------------------------------------


def gradients(thinker: Thinker, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    parameters = {name: parameter for name, parameter in thinker.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, retain_graph=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(parameters.items(), found)}


def naive_loss(thinker: Thinker, layouts, embeds=None) -> torch.Tensor:
    """Mean over learned tokens. `embeds(mind, layout)` makes a row's inputs; one forward for each thought when unset."""
    seen = mind(thinker)
    total, count = torch.zeros((), dtype=torch.float64), 0.0
    for layout in layouts:
        ids, positions = layout.ids, layout.positions
        inputs = oracle.thoughtful(seen, ids, positions) if embeds is None else embeds(seen, layout)
        # A weight is a float32 in a batch, so that is what the reference multiplies by.
        weights = torch.tensor([s.learn for s in layout.segments for _ in s.ids], dtype=torch.float32)
        total = total + oracle.row_loss(seen, inputs, ids, layout.labels, weights.tolist(), positions)
        learned = torch.tensor([label != oracle.IGNORE for label in layout.labels[1:]])
        count += float(weights[1:][learned].double().sum())
    return total / count


def same(family: str, thinker: Thinker, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """The two losses and all gradients agree."""
    mine, reference = gradients(thinker, ours), gradients(thinker, theirs)
    # Only float32 agreement can be asked where attention takes its softmax in float32, as most families' eager one does.
    eager = thinker.door.attention == "eager"
    gap = abs(float(ours.detach() - theirs.detach()))
    assert gap <= (1e-6 if eager else 1e-12), f"losses differ by {gap:.3g}"
    # Rounding is proportional to what is rounded: bounds hold for gradients up to one, and grow with larger ones.
    size = max(1.0, *(float(gradient.abs().max()) for gradient in reference.values()))
    for name, expected in reference.items():
        gap = float((mine[name] - expected).abs().max()) / size
        assert gap <= (1e-5 if eager else gradient_bound(family)), f"gradients of {name} differ by {gap:.3g}"


def check(family: str, thinker: Thinker, layouts=None, *, batch: Batch | None = None, embeds=None, **options) -> None:
    """The engine's loss of a batch is the oracle's loss of its rows, gradients too."""
    layouts = rows() if layouts is None else layouts
    batch = Batch.of(layouts, VOCAB) if batch is None else batch
    same(family, thinker, thinker.loss(batch, **options), naive_loss(thinker, layouts, embeds))
