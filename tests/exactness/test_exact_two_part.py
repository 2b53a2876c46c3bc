"""Attention in two parts is attention under a dense mask: states, and gradients of every parameter and of what was read."""

import pytest
import torch
from torch import nn
from transformers import AttentionInterface, Gemma2Config, Gemma2ForCausalLM

from tacit.batch import Batch
from tacit.engine import branch as branches
from tacit.engine import masks, prefix, two_part
from tacit.engine.cache import Apart
from tacit.engine.door import open_door
from tacit.engine.stream import open_stream
from tacit.layout import Layout, Segment
from tests.exactness import tiny
from tests.exactness.tiny import SIZE, VOCAB, thinker, words

FAMILIES = ("gpt2", "llama", "qwen2", "mistral")
MORE = ("gpt2-untied", "qwen3", "gemma", "olmo2", "phi", "gpt_neox", "opt", "qwen2-mixed", "gemma3-mixed")
TEXTS = [words(n, seed) for n, seed in ((12, 21), (7, 22), (9, 23))]
SHORT = [words(9, seed) for seed in (24, 25, 26)]
IN_ORDER = [[0, 2, 3, 6, 6, 11]] * 3
MIXED = [[11, 4, 4, 5, 7, 11], [7, 5, 11, 6, 8, 10], [10, 3, 9, 9, 4, 11]]  # unsorted, other ones in every row


class Case:
    """Some reads of the cells of a text: how many columns of each, and where they stand if not behind the text."""

    def __init__(self, at, counts=(1, 1, 1), texts=TEXTS, align="left", shift=None):
        self.at, self.counts, self.texts, self.shift = torch.tensor(at), counts, texts, shift
        self.batch = Batch.of([Layout(Segment("text", text)) for text in texts], VOCAB, align)

    def read(self, mind, dense, layers=False):
        """(hidden states (B, W, H) of all reads, embeddings that were read)"""
        embed = mind.door.embed
        text = embed(self.batch.ids).detach().requires_grad_()
        opened = open_stream(mind.door)
        opened.read(text, self.batch.positions, self.batch.keep if self.batch.padded else None)
        branch = opened.branch(self.at, dense=dense)
        assert (branch.dense is None) == (not dense), branch.dense
        B, C = self.at.shape
        generator = torch.Generator().manual_seed(8)
        states, given, past = [], [text], 0
        for n in self.counts:
            tokens = torch.randint(5, SIZE, (B, C * n), generator=generator)
            given.append(embed(tokens).detach().requires_grad_())
            step = torch.arange(past, past + n).repeat(C)
            where = None if self.shift is None else self.shift + 2 * step.expand(B, -1)
            read = branch.read(given[-1], torch.arange(C).repeat_interleave(n), None, layers, where)
            states += [read.hidden, *(read.layers or ())]
            past += n
        assert (branch.dense is None) == (not dense)
        return torch.cat(states, 1), given


CASES = {
    "in order": Case(IN_ORDER),
    "one cell": Case([[3], [4], [1]], (1, 1), SHORT),
    "mixed, pads on the left": Case(MIXED, align="right"),
    "pads on the right": Case([[3, 2, 6], [6, 1, 1], [0, 5, 8]]),
    "many columns": Case(MIXED, (3, 1, 2), align="right"),
    "one, then many": Case(MIXED, (1, 1, 2, 1, 4), align="right"),
    "all at once": Case(IN_ORDER, (7,), align="right"),
    "out of the window": Case([[3], [4], [1]], (9, 1, 1), SHORT),
    "positions of their own": Case([[0, 3, 8]] * 3, (1, 2), SHORT, shift=40),
}


def closest(ours, theirs):
    return float((ours - theirs).detach().abs().max())


def check(family, case, bound=1e-10, slopes=1e-10):
    mind = thinker(family)
    apart, given = case.read(mind, dense=False)
    dense, reference = case.read(mind, dense=True)
    assert closest(apart, dense) <= bound, f"states differ by {closest(apart, dense):.3g}"
    slope = torch.randn(apart.shape, generator=torch.Generator().manual_seed(9))
    # What is read is a leaf here, so that the table it came from is left out; positions and layers are not.
    weights = [p for n, p in mind.model.named_parameters() if p.requires_grad]
    mine, others = (
        torch.autograd.grad((states * slope).sum() / slope.numel(), [*leaves, *weights], allow_unused=True)
        for states, leaves in ((apart, given), (dense, reference))
    )
    size = max(1.0, *(float(each.abs().max()) for each in others if each is not None))
    for one, other in zip(mine, others):
        assert (one is None) == (other is None)
        if one is not None:
            assert closest(one, other) <= slopes * size, f"gradients differ by {closest(one, other):.3g}"
    with torch.no_grad():
        asked, _ = case.read(mind, dense=False)
    assert closest(asked, dense) <= bound, f"states differ by {closest(asked, dense):.3g}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_two_parts_are_one_softmax(family, case):
    check(family, CASES[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", MORE)
def test_two_parts_are_one_softmax_in_more_families(family, case):
    check(family, CASES[case], slopes=tiny.gradient_bound(family))


@pytest.mark.parametrize("case", ["mixed, pads on the left", "many columns", "all at once"])
def test_portions_of_any_size_give_the_same(case, monkeypatch):
    """Blocks of cells so small, and portions of own columns, that there are many of them."""
    monkeypatch.setattr(prefix, "SCORES", {"cpu": 1})
    monkeypatch.setattr(two_part, "SCORES", 100)
    for family in ("gpt2", "mistral"):
        check(family, CASES[case])
    monkeypatch.setattr(prefix.Prefix, "blocks", forgotten_block)
    with pytest.raises(AssertionError, match="differ"):
        check("gpt2", CASES[case])


def forgotten_block(self, rows, M):
    C = self.at.shape[1]
    yield prefix.Block(slice(0, C - 1), slice(0, max(self.high) + 1), 0)
    yield prefix.Block(slice(C - 1, C), slice(0, 1), 0)


def test_every_layer_comes_back_in_its_place():
    case, mind = CASES["mixed, pads on the left"], thinker("gpt2")
    assert closest(case.read(mind, False, True)[0], case.read(mind, True, True)[0]) <= 1e-10


# --- broken on purpose -----------------------------------------------------------------------------------------------


def no_weights(patch):
    """The two parts are added as they are."""
    attend = prefix.Prefix.attend

    def plain(self, *given):
        out, top, total = attend(self, *given)
        return out / total.clamp(min=1e-9), torch.zeros_like(top), torch.ones_like(total)

    patch.setattr(prefix.Prefix, "attend", plain)


def one_column_less(patch):
    between = masks.between
    patch.setattr(masks, "between", lambda at, *rest: between(at - 1, *rest))
    patch.setattr(prefix.Prefix, "blocks", lambda self, rows, M: whole(self))


def whole(self):
    yield prefix.Block(slice(0, self.at.shape[1]), slice(0, max(self.high) + 1), 0)


def stale_columns(patch):
    """Every read finds the own columns of the read before it in place of the first ones."""
    update = Apart.update

    def stale(self, *given, **options):
        now = update(self, *given, **options)
        if len(self.own) == 3:
            self.own[0] = self.own[1]
        return now

    patch.setattr(Apart, "update", stale)


def no_window(patch):
    patch.setattr(prefix.Prefix, "windowed", lambda self, *given: self)


def no_gradient_to_the_text(patch):
    gradients = prefix.Prefix.gradients

    def less(self, *given):
        found, keys, values = gradients(self, *given)
        return found, torch.zeros_like(keys), values

    patch.setattr(prefix.Prefix, "gradients", less)


def cells_exchanged(patch):
    of = prefix.Prefix.of
    patch.setattr(prefix.Prefix, "of", lambda keep, at, first=None: of(keep, at.flip(1), first))


@pytest.mark.parametrize(
    ("family", "sabotage"),
    [
        ("gpt2", no_weights),
        ("llama", one_column_less),
        ("gpt2", stale_columns),
        ("mistral", no_window),
        ("llama", no_gradient_to_the_text),
        ("gpt2", cells_exchanged),
    ],
)
def test_broken_parts_are_noticed(family, sabotage, monkeypatch):
    monkeypatch.setattr(branches, "why_dense", lambda trunk: None)
    check(family, CASES["mixed, pads on the left"])  # as it was tried when the branch was first opened
    sabotage(monkeypatch)
    with pytest.raises(AssertionError, match="differ"):
        check(family, CASES["mixed, pads on the left"])


@pytest.mark.parametrize("sabotage", [no_weights, one_column_less])
def test_a_model_on_which_the_two_differ_is_not_believed(sabotage, monkeypatch):
    sabotage(monkeypatch)
    mind = thinker("gpt2")
    assert "differ by" in (branch_of(mind).dense or "")
    assert mind.model.config._attn_implementation == "sdpa"


# --- when it is used -------------------------------------------------------------------------------------------------


def branch_of(mind, **options):
    opened = open_stream(mind.door)
    opened.read(mind.door.embed(torch.tensor(SHORT)), torch.arange(9).expand(3, -1))
    return opened.branch(torch.tensor([[1, 3, 8]] * 3), **options)


def test_it_goes_through_two_parts_and_through_nothing_else(monkeypatch):
    seen = []
    apply = two_part.TwoPart.apply
    monkeypatch.setattr(two_part.TwoPart, "apply", lambda *given: seen.append(given[0].shape) or apply(*given))
    sdpa = AttentionInterface()["sdpa"]
    mind = thinker("gpt2")
    branch = branch_of(mind)
    seen.clear()
    monkeypatch.setitem(AttentionInterface._global_mapping, "sdpa", None)
    branch.read(mind.door.embed(torch.tensor([words(3, 5)] * 3)), torch.arange(3))
    assert seen == [(3, 4, 3, 8)] * 2
    monkeypatch.setitem(AttentionInterface._global_mapping, "sdpa", sdpa)
    branch_of(mind, dense=True).read(mind.door.embed(torch.tensor([words(3, 5)] * 3)), torch.arange(3))
    assert len(seen) == 2


def test_without_a_branch_the_model_is_what_it_was():
    mind = thinker("llama")
    ids = torch.tensor(SHORT)
    before = mind.model(ids).logits
    assert branch_of(mind).dense is None
    assert torch.equal(mind.model(ids).logits, before)
    assert open_door(mind.model).attention == "sdpa"
    assert "attn_implementation" not in str(mind.model.config.to_dict())


def test_dropped_attention_is_not_made_in_two_parts():
    mind = thinker("gpt2")
    assert branch_of(mind).dense is None
    for layer in mind.model.transformer.h:
        layer.attn.attn_dropout = nn.Dropout(0.5)
    mind.train()
    state = torch.get_rng_state()
    branch = branch_of(mind)
    assert "drops 50%" in (branch.dense or "") and "a mask" in (branch.dense or "")
    assert branch.read(mind.door.embed(torch.tensor([words(3, 5)] * 3)), torch.arange(3)).hidden.shape == (3, 3, 32)
    torch.set_rng_state(state)
    assert mind.model.training and branch_of(mind.eval()).dense is None


def test_capped_scores_and_other_attention_stay_dense():
    sizes = {"vocab_size": SIZE, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "attn_logit_softcapping": 5.0, "pad_token_id": 0}
    model = Gemma2ForCausalLM(Gemma2Config(**sizes, **heads, attn_implementation="eager")).double().eval()
    door = open_door(model)
    stream = open_stream(door)
    stream.read(door.embed(torch.tensor(SHORT)), torch.arange(9).expand(3, -1))
    assert "'eager'" in (stream.branch(torch.zeros(3, 1, dtype=torch.long)).dense or "")
    plan = two_part.Plan([], [], {}, {})
    some = torch.zeros(1, 1, 1, 1)
    with pytest.raises(two_part.NotInTwoParts, match="softcap"):
        two_part.attention(model, some, some, some, None, two_part=plan, softcap=5.0)


@pytest.mark.parametrize("family", ["gpt2", "mistral"])
def test_cells_that_stop_reading_evenly_go_on_under_a_mask(family):
    """What was read in two parts, in another order even, is what a dense mask then shows to the reads that follow."""
    mind, case = thinker(family), CASES["mixed, pads on the left"]
    found = []
    for dense in (False, True):
        opened = open_stream(mind.door)
        opened.read(mind.door.embed(case.batch.ids), case.batch.positions, case.batch.keep)
        branch = opened.branch(case.at, dense=dense)
        tokens = mind.door.embed(torch.tensor([words(12, 61)] * 3))
        states = [branch.read(tokens, torch.arange(6).repeat_interleave(2)).hidden]
        states.append(branch.read(tokens[:, :3], torch.tensor([1, 4, 4])).hidden)
        assert "different numbers" in (branch.dense or "") or dense
        states.append(branch.read(tokens[:, 4:10], torch.arange(6)).hidden)
        found.append(torch.cat(states, 1))
    assert closest(*found) <= 1e-10


# --- numbers and memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-2)])
def test_fewer_bits_and_always_the_same(dtype, bound):
    generator = torch.Generator().manual_seed(3)
    B, H, C, T, D = 2, 2, 5, 9, 8
    at = torch.tensor([[0, 2, 3, 7, 8]] * B)
    shapes = [(B, 2 * H, C, D), (B * H, T, D), (B * H, T, D), *[(B, H, C, 1, D)] * 4]
    exact = [torch.randn(shape, generator=generator) for shape in shapes]
    seen = prefix.Prefix.of(None, at)

    def out(given):
        given = [each.clone().requires_grad_() for each in given]
        states = two_part.TwoPart.apply(*given[:3], 1.0, seen, None, *given[3:])
        return [states, *torch.autograd.grad(states.sum(), given)]

    rough = [each.to(dtype) for each in exact]
    once, twice, right = out(rough), out(rough), out([each.double() for each in rough])
    for a, b, reference in zip(once, twice, right):
        assert a.dtype == dtype and torch.equal(a, b)
        assert closest(a.double(), reference) <= bound * max(1.0, float(reference.detach().abs().max()))


def kept(reads, dense=False):
    """Elements of the distinct memories that the backward pass of so many reads holds on to, without parameters."""
    mind = thinker("gpt2")
    held = {}

    def hold(tensor):
        held[tensor.untyped_storage().data_ptr()] = (tensor, tensor.untyped_storage().nbytes())
        return tensor

    parameters = {p.untyped_storage().data_ptr() for p in mind.parameters()}
    branch = branch_of(mind, dense=dense)
    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        for n in range(reads):
            branch.read(mind.door.embed(torch.tensor([words(3, n)] * 3)), torch.arange(3))
    return sum(size for where, (_, size) in held.items() if where not in parameters)


def test_memory_grows_by_what_is_read():
    few, more, most = (kept(reads) for reads in (8, 16, 32))
    assert most - more <= 2.02 * (more - few), (few, more, most)
    few, more, most = (kept(reads, dense=True) for reads in (8, 16, 32))
    assert most - more > 2.3 * (more - few), (few, more, most)


def test_sixteen_bit_arithmetic_keeps_two_parts():
    """Whether a model can is found out in full precision, also where it is used in less."""
    mind = thinker("llama").float()
    with torch.autocast("cpu", torch.bfloat16):
        stream = open_stream(mind.door)
        ids = torch.tensor([words(6, 1)])
        stream.read(mind.door.embed(ids), torch.arange(6)[None])
        branch = stream.branch(torch.tensor([[1, 4]]))
        branch.read(mind.door.embed(ids[:, :2]), torch.arange(2))
    assert branch.dense is None, branch.dense
