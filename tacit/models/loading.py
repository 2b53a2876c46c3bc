"""Existing weights: a model and its tokenizer from a run, a folder or the hub, and everything that can be wrong with them."""

from typing import Any

import torch

from tacit.errors import ModelError
from tacit.models.adapters import base_of, fingerprint, load_adapters
from tacit.models.folder import BASE, no_bars, read_facts
from tacit.models.places import find_file, find_folder, find_weights, unreachable
from tacit.models.wrapped import architecture_of, is_wrapped, load_wrapped, words_of

FEWEST = 0.9
"""Published models round their tables up, by a few hundredths at most; a table with more unused rows is another model's."""


def load_base(
    name: str,
    *,
    revision: str | None = None,
    tokenizer: str = "auto",
    dtype: torch.dtype = torch.float32,
    attention: str = "auto",
    fresh: bool = False,
) -> tuple[Any, Any]:
    """The language model and its tokenizer; with adapters, if those are what the place holds. `fresh` takes the
    architecture and draws the weights."""
    place = find_weights(name)
    kernel = {} if attention == "auto" else {"attn_implementation": attention}
    words = _tokenizer(place, revision, tokenizer)
    with no_bars():
        if fresh:
            model = _drawn(place, revision, dtype=dtype, **kernel)
        elif is_wrapped(place, revision):
            model = load_wrapped(place, revision, dtype=dtype, **kernel)
        elif find_file(place, "adapter_config.json", revision) is None:
            model = _weights(place, dtype=dtype, revision=revision, **kernel)
        else:
            base, version = base_of(place, revision)
            model = _weights(base, dtype=dtype, revision=version, **kernel)
            if len(words) > model.get_input_embeddings().weight.shape[0]:
                model.resize_token_embeddings(len(words), mean_resizing=False)  # the adapters bring these rows
            model = load_adapters(model, place, revision)
            _check_base(model, place, revision, base)
    _check_vocabulary(words, model, name)
    return model, words


def _teach_ours() -> None:
    """The library knows our recurrent models from here on; of one it does not know, even a tokenizer is loaded with a warning."""
    import tacit.models.gru
    import tacit.quiet.drawn
    import tacit.quiet.model  # noqa: F401


def _weights(place: str, **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    _teach_ours()
    place = find_weights(place)
    try:
        made: Any = AutoModelForCausalLM.from_pretrained(place, output_loading_info=True, **options)
    except (OSError, ValueError) as error:
        raise ModelError(unreachable(place, error)) from error
    model, info = made
    if missing := sorted(info["missing_keys"]):
        head = {id(module): name for name, module in model.named_modules()}.get(id(model.get_output_embeddings()), "?")
        named = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        what = "its head" if all(key.startswith(head) for key in missing) else "parts of it"
        raise ModelError(
            f"{place} has no weights for {named}, so {what} would be drawn at random and answer nonsense. Use the "
            "checkpoint of a causal language model, or one whose configuration says tie_word_embeddings: true"
        )
    for tensor in (*model.parameters(), *model.buffers()):
        # A file that is mapped into memory begins where it likes, and the last bits of a product depend on that. In memory
        # of its own a loaded model computes exactly what it computed before it was saved.
        tensor.data = tensor.data.clone()
    return model


def _check_base(model: Any, place: str, revision: str | None, base: str) -> None:
    """Refuse adapters beside another base than theirs: a folder of the same name may hold other weights by now."""
    facts = read_facts(place, revision)
    if facts is not None and facts.get(BASE, fingerprint(model)) != fingerprint(model):
        raise ModelError(
            f"the adapters of {place} were trained beside other weights than those that {base} holds now, so together they are "
            "no model. Put the weights back that the run began with, or name their place as base_model_name_or_path in "
            f"{place}/adapter_config.json"
        )


def _drawn(place: str, revision: str | None, **options: Any) -> Any:
    """The architecture of a place with new weights, from the global random numbers."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(read_config(place, revision), **options).eval()


def read_config(name: str, revision: str | None = None) -> Any:
    """The configuration of a model."""
    from transformers import AutoConfig

    _teach_ours()
    place = architecture_of(find_weights(name), revision)
    try:
        return AutoConfig.from_pretrained(place, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelError(unreachable(place, error)) from error


def _tokenizer(place: str, revision: str | None, given: str) -> Any:
    """The tokenizer of the weights. Another one must give every token the same id, or the weights mean nothing."""
    place = words_of(place, revision)
    if given == "auto":
        return load_tokenizer(place, revision)
    other = load_tokenizer(given)
    if find_file(place, "tokenizer.json", revision) or find_file(place, "tokenizer_config.json", revision):
        theirs = other.get_vocab()
        own = load_tokenizer(place, revision).get_vocab()
        wrong = [token for token, index in own.items() if theirs.get(token) != index]
        if wrong:
            raise ModelError(
                f"the tokenizer {given} is another one than that of {place}: {len(wrong)} of its {len(own)} tokens have "
                f"other ids or none, such as {wrong[0]!r}. Set model.tokenizer: auto"
            )
    return other


def load_tokenizer(place: str, revision: str | None = None) -> Any:
    from transformers import AutoTokenizer

    _teach_ours()
    place = find_folder(place)
    try:
        return AutoTokenizer.from_pretrained(place, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelError(unreachable(place, error, "a tokenizer")) from error


def _check_vocabulary(tokenizer: Any, model: Any, name: str) -> None:
    known, rows = max(tokenizer.get_vocab().values(), default=-1) + 1, model.get_input_embeddings().weight.shape[0]
    if known > rows:
        raise ModelError(
            f"the tokenizer has {known} tokens and {name} has rows for {rows} only, so the last {known - rows} tokens would "
            "be read as nothing. Set model.tokenizer to the one that the weights were trained with"
        )
    if known < FEWEST * rows:
        raise ModelError(
            f"the tokenizer has {known} tokens and {name} has rows for {rows}: it is not the one that these weights were "
            "trained with. Set model.tokenizer to that one"
        )


def empty_model(model: Any, tokens: int, vocab: Any) -> Any:
    """The model of a recipe without storage, for counting: its weights are neither read nor made."""
    from transformers import AutoModelForCausalLM

    from tacit.models.scratch import build

    with torch.device("meta"):
        if model.path is None:
            return build(model.tiny, tokens, eos=vocab.eos, pad=vocab.pad)
        made = AutoModelForCausalLM.from_config(read_config(model.path, model.revision))
        if tokens > made.get_input_embeddings().weight.shape[0]:
            made.resize_token_embeddings(tokens, mean_resizing=False)
        return made
