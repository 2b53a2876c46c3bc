"""From a recipe to a thinker: weights from somewhere or from scratch, tokenizer, tokens of thinking, adapters."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tacit.errors import DataError, ModelError
from tacit.example import EOS, Example, Template
from tacit.models.adapters import add_lora, is_adapted, merged_model
from tacit.models.folder import load_parts, read_facts
from tacit.models.loading import load_base, load_tokenizer
from tacit.models.places import find_weights
from tacit.models.positions import grow_positions
from tacit.models.scratch import build
from tacit.models.tokenizers import bpe_tokenizer, character_tokenizer, check_round_trip, word_tokenizer
from tacit.models.tokens import THOUGHT, add_tokens, token_ids, with_tokens
from tacit.models.wrapped import words_of
from tacit.thinker import Thinker
from tacit.thinking import Speech, Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.recipe import Recipe

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SAMPLE = 200
"""Examples whose texts must survive the tokenizer before training starts."""
LEARNED = ("linear", "linear_rms", "linear_ecf", "linear_ln", "mlp", "pause")
"""Kinds of silent steps that have weights of their own."""


def thinker_from_recipe(recipe: "Recipe", examples: Sequence[Example]) -> Thinker:
    """The thinker that a recipe trains. From scratch, its tokenizer knows what the examples are written with."""
    task, method = recipe.resolved_task(), recipe.method.settings
    refuse_thoughts(examples, (*THOUGHT, *method.tokens))
    _refuse_silent_weights(recipe)
    texts, words = _written(recipe, examples)
    thinker = make_thinker(
        recipe.model,
        recipe.thinking(),
        tokens=method.tokens,
        texts=texts,
        words=words,
        precision=recipe.train.precision,
        seed=recipe.train.seed,
    )
    check_tokenizer(thinker.tokenizer, examples, task.template)
    return thinker


def vocabulary_of(recipe: "Recipe", examples: Sequence[Example]) -> tuple[Any, Vocab]:
    """The tokenizer and the tokens that a recipe's thinker would have, without its weights."""
    model = recipe.model
    if model.path is None:
        tokenizer = _own_tokenizer(model, *_written(recipe, examples))
    else:
        tokenizer = load_tokenizer(words_of(find_weights(model.path)) if model.tokenizer == "auto" else model.tokenizer)
    return tokenizer, add_tokens(tokenizer, recipe.method.settings.tokens, model.tokens)


def _written(recipe: "Recipe", examples: Sequence[Example]) -> tuple[list[str], list[str] | None]:
    """What a tokenizer from scratch is made of: the texts of the examples, or the words of a symbolic task."""
    task = recipe.resolved_task()
    if recipe.model.path is not None:
        return [], None
    words = task.words() if task.template.kind == "symbolic" else None
    texts = _texts(examples, task.template)
    texts.append(task.letters())
    return texts, None if words is None else [*words, *_around(task.template)]


def make_thinker(
    model: Any,
    thinking: Thinking,
    *,
    tokens: Sequence[str] = (),
    texts: Sequence[str] = (),
    words: Sequence[str] | None = None,
    precision: str = "fp32",
    seed: int = 0,
) -> Thinker:
    """`model` is the section of a recipe. `texts` or `words` are what a tokenizer from scratch is made of."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if model.path is not None:
            return _from_weights(model, thinking, tokens, precision)
        tokenizer = _own_tokenizer(model, texts, words)
        vocab = add_tokens(tokenizer, tokens, model.tokens)
        base: Any = build(model.tiny, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=seed)
        if model.parts is not None:
            from tacit.quiet.parts import take_parts

            take_parts(base, tokenizer, model.parts)
        base.to(_dtype(model, precision))
        if model.lora is not None:
            base = add_lora(base, model.lora, _trained_rows(vocab, tokenizer, model))
        return Thinker(base, tokenizer, vocab, thinking)


def _from_weights(model: Any, thinking: Thinking, tokens: Sequence[str], precision: str) -> Thinker:
    """A warm start: another run's learned parts come along, if thoughts are made as they were there."""
    place = find_weights(model.path)
    facts = read_facts(place, model.revision)
    if facts is not None and not model.fresh:
        _refuse_other_thoughts(facts["thinking"], thinking, model.path)
    base, tokenizer = load_base(
        place,
        revision=model.revision,
        tokenizer=model.tokenizer,
        dtype=_dtype(model, precision),
        attention=model.attention,
        fresh=model.fresh,
    )
    if is_adapted(base):
        base = merged_model(base).to(_dtype(model, precision))
        # No path leads to the sum, so adapters that are trained beside it must be saved together with it.
        base.name_or_path = base.config.name_or_path = ""
    if model.positions is not None:
        grow_positions(base, model.positions)
    vocab = with_tokens(base, tokenizer, tokens, model.init_tokens, model.tokens)
    if model.lora is not None:
        base = add_lora(base, model.lora, _trained_rows(vocab, tokenizer, model), model.revision)
    thinker = Thinker(base, tokenizer, vocab, thinking)
    if facts is not None and not model.fresh and _same_parts(facts["thinking"], thinking):
        load_parts(thinker, place, model.revision)
    return thinker


def _same_parts(one: Thinking, other: Thinking) -> bool:
    """Whether the learned parts of two ways of thinking are alike; how long thoughts are is no part of them."""
    asides = [aside and aside.model_copy(update={"speech": Speech()}) for aside in (one.aside, other.aside)]
    return one.feedback == other.feedback and asides[0] == asides[1]


def _trained_rows(vocab: Vocab, tokenizer: Any, model: Any) -> list[int]:
    """Tokens whose rows are learned beside adapters: those that were added."""
    return [*token_ids(vocab), *tokenizer.convert_tokens_to_ids(model.tokens)]


def _refuse_other_thoughts(saved: Thinking, wanted: Thinking, path: str) -> None:
    """Weights that learned to think through learned parts are not themselves without them."""
    if saved.feedback not in LEARNED:
        return
    different = [
        name
        for name in ("feedback", "inner", "scale", "source", "close")
        if getattr(saved, name) != getattr(wanted, name)
    ]
    if different:
        told = "; ".join(f"{name} {getattr(saved, name)}, here {getattr(wanted, name)}" for name in different)
        raise ModelError(
            f"{path} learned its thoughts in another way ({told}), and these weights without their learned parts are not "
            "that model. Choose the method and the method.thoughts that it was trained with, or start from other weights"
        )


def _refuse_silent_weights(recipe: "Recipe") -> None:
    """Weights that answer behind silent steps mean little to a method without any."""
    facts = read_facts(find_weights(recipe.model.path), recipe.model.revision) if recipe.model.path else None
    if facts is None or "method" not in facts or recipe.method.settings.silent():
        return
    from tacit.recipe.choice import choose

    saved = choose("method", facts["method"])
    if saved.settings.silent():
        raise ModelError(
            f"{recipe.model.path} learned to answer behind silent steps (method {saved.name}), and method "
            f"{recipe.method.name} has none, so these weights would be asked in a way they do not know. Set method.name: "
            f"{saved.name}, or start from weights without thoughts, such as those that run began with; to see how it "
            f"answers without thinking: tacit eval {recipe.model.path} --latents 0"
        )


def _dtype(model: Any, precision: str) -> torch.dtype:
    """The type of the weights; train.precision bf16 keeps them in fp32 and computes in bf16."""
    return DTYPES["bf16" if precision == "bf16_weights" or model.dtype == "bf16" else "fp32"]


def _own_tokenizer(model: Any, texts: Sequence[str], words: Sequence[str] | None) -> Any:
    kind = model.tokenizer
    if kind == "auto":
        kind = "word" if words is not None else "character"
    if kind == "character":
        return character_tokenizer(texts)
    if kind == "word":
        return word_tokenizer(texts if words is None else words)
    if kind == "bpe":
        return bpe_tokenizer(texts, model.vocabulary)
    return load_tokenizer(kind)


def _texts(examples: Sequence[Example], template: Template) -> list[str]:
    """Every piece of text that encoding will ask the tokenizer for, as it stands in the template."""
    if template.kind == "chat":
        raise ModelError(
            "template.kind chat needs the chat template of an instruct model; set model.path to one, or template.kind: plain"
        )
    template = template.model_copy(update={name: part.replace(EOS, "") for name, part in template.words().items()})
    asks = any(not example.text for example in examples)
    texts = [words for words in (template.cue, template.opening) if words and asks]
    for example in examples:
        if example.text:
            texts.append(example.text)
            continue
        texts.append(template.question.replace("{question}", example.question))
        texts += template.steps(example)
        texts.append(template.answer.replace("{answer}", example.answer))
    return texts


def _around(template: Template) -> list[str]:
    """The words of the template itself."""
    slots = {"{question}", "{step}", "{answer}", EOS}
    return [word for part in template.words().values() for word in part.split() if word not in slots]


def check_tokenizer(tokenizer: Any, examples: Sequence[Example], template: Template) -> None:
    """Refuse a tokenizer that changes what the examples say, on a sample spread over all of them."""
    every = max(1, len(examples) // SAMPLE)
    texts = _texts(examples[::every], template.model_copy(update={"kind": "plain"}))
    if template.kind == "symbolic":  # words are looked up one by one, whatever stands between them
        texts = [" ".join(text.split()) for text in texts]
    check_round_trip(tokenizer, texts)


def refuse_thoughts(examples: Iterable[Example], tokens: Sequence[str]) -> None:
    """Refuse texts that spell a token of thinking: the tokenizer would turn it into a silent step."""
    spelled = re.compile("|".join(map(re.escape, tokens)))
    for example in examples:
        for text in (example.question, *example.steps, example.answer, example.text):
            if found := spelled.search(text):
                raise DataError(
                    f"{example.id or 'example'}: its text contains {found[0]!r}, which is a token of thinking and would be "
                    "read as one. Remove it from the data, or write it in another way"
                )


def load(name: str | Path, *, revision: str | None = None, dtype: str = "fp32", attention: str = "auto") -> Thinker:
    """The thinker of a run, of a checkpoint, of a model folder or of a hub id. Weights are kept in `dtype`, fp32 or bf16."""
    return Thinker.from_pretrained(name, revision=revision, dtype=DTYPES[dtype], attention=attention)
