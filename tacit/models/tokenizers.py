"""Tokenizers made on the spot from texts: characters, whole words, or byte pairs. No network, no downloaded vocabulary.

What comes back is an ordinary fast tokenizer of transformers, saved and loaded like any other. It never guesses: a
character or a word it has not seen is refused instead of becoming an "unknown" token, and decoding gives back exactly
what was encoded. `encode`, `encode_many` and `check_round_trip` hold any tokenizer, ours or a published one, to the
same two promises.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from tacit.errors import DataError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

EOS, PAD, BOS = "<eos>", "<pad>", "<bos>"


def character_tokenizer(texts: Iterable[str], *, bos: bool = False) -> "PreTrainedTokenizerFast":
    """One token per character, spaces and line breaks included. Ids follow the characters' code points."""
    characters = sorted({character for text in _listed(texts) for character in text})
    tokenizer = _lookup(characters, bos)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return _wrapped(tokenizer, bos)


def word_tokenizer(texts_or_words: Iterable[str], *, bos: bool = False) -> "PreTrainedTokenizerFast":
    """One token per whitespace-separated word; decoding joins words by one space.

    Ids follow the first appearance, so a list of words fixes every id, also that of `<eos>` where the list names it.
    """
    words = dict.fromkeys(word for text in _listed(texts_or_words) for word in text.split())
    tokenizer = _lookup(words, bos)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _wrapped(tokenizer, bos)


def bpe_tokenizer(texts: Iterable[str], size: int, *, bos: bool = False) -> "PreTrainedTokenizerFast":
    """Byte pairs learned from the texts; any text can be encoded. `size` counts all tokens, few texts give fewer."""
    smallest = len(pre_tokenizers.ByteLevel.alphabet()) + len(_specials(bos))
    if size < smallest:
        raise ModelError(
            f"a byte-pair vocabulary of {size} is too small: 256 bytes and the special tokens make {smallest} already. "
            f"Set a size of {smallest} or more, or use a character tokenizer."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=_specials(bos),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_listed(texts), trainer)
    return _wrapped(tokenizer, bos)


def encode(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The ids of a text, without special tokens around it. Characters or words without a token are refused by name."""
    return encode_many(tokenizer, [text])[0]


def encode_many(tokenizer: "PreTrainedTokenizerBase", texts: Iterable[str]) -> list[list[int]]:
    """`encode` for many texts in one call of the tokenizer, which is many times faster than one by one."""
    texts = list(texts)
    if not texts:
        return []
    try:
        rows = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    except Exception:  # our own tokenizers refuse unknown pieces with the bare Exception of their Rust half
        _refuse_unknown(tokenizer, texts)
        raise
    unknown = tokenizer.unk_token_id
    if unknown is not None and any(unknown in row for row in rows):
        _refuse_unknown(tokenizer, [text for text, row in zip(texts, rows) if unknown in row])
    return rows


def check_round_trip(tokenizer: "PreTrainedTokenizerBase", texts: Iterable[str]) -> None:
    """Refuses the tokenizer if any of the texts does not come back unchanged from encode and decode."""
    texts = list(texts)
    try:
        rows = encode_many(tokenizer, texts)
    except DataError as fault:
        raise ModelError(f"this tokenizer cannot be used with these texts: {fault}") from fault
    for text, ids in zip(texts, rows):
        back = str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        if back != text:
            given, returned = _around_difference(text, back)
            raise ModelError(
                f"this tokenizer changes text: {given!r} came back as {returned!r}, so answers could not be compared "
                "with the data. Write the texts the way the tokenizer restores them (a word tokenizer keeps single "
                "spaces only), or use a character or byte-pair tokenizer."
            )


def fingerprint(tokenizer: Any) -> str:
    """Tokenizers with the same tokens have the same one; tokens of thinking are left out, since they stand in no text."""
    added = set(tokenizer.get_added_vocab())
    words = sorted((number, word) for word, number in tokenizer.get_vocab().items() if word not in added)
    return blake2b(repr(words).encode(), digest_size=8).hexdigest()


def _listed(texts: Iterable[str]) -> list[str]:
    """The texts as a list; a lone string is one text, not an iterable of characters."""
    listed = [texts] if isinstance(texts, str) else list(texts)
    if not any(listed):
        raise ModelError(
            "a tokenizer is made from texts, and none were given (or all are empty). Give it the training texts."
        )
    return listed


def _specials(bos: bool) -> list[str]:
    return [EOS, PAD, BOS] if bos else [EOS, PAD]


def _lookup(pieces: Iterable[str], bos: bool) -> Tokenizer:
    """A table from pieces to ids that raises on anything else: its "unknown" token, the empty string, is not in it."""
    table = {piece: index for index, piece in enumerate(dict.fromkeys([*pieces, *_specials(bos)]))}
    return Tokenizer(models.WordLevel(table, unk_token=""))


def _wrapped(tokenizer: Tokenizer, bos: bool) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        bos_token=BOS if bos else None,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        padding_side="left",
    )


def _refuse_unknown(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> None:
    """Raises for the first text with pieces that have no token, and names them; returns if there is none."""
    for text in texts:
        if unknown := _unknown_pieces(tokenizer, text):
            named = ", ".join(repr(piece) for piece in unknown[:10]) + (", …" if len(unknown) > 10 else "")
            raise DataError(
                f"the tokenizer has no token for {named}, needed in {_shortened(text)!r}. Change the text, make the "
                "tokenizer from texts that contain every piece, or use a byte-pair tokenizer, which encodes anything."
            )


def _unknown_pieces(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[str]:
    """The parts of a text that the tokenizer has no token for, each once, in order."""
    unknown = tokenizer.unk_token
    if not isinstance(unknown, str):
        pieces = _missing_from_table(tokenizer, text)
    elif unknown in text:  # written out on purpose, as with tokenizers whose "unknown" is their end of text
        pieces = []
    elif tokenizer.is_fast:
        parts = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = zip(parts["input_ids"], parts["offset_mapping"])
        pieces = [text[start:end] for index, (start, end) in spans if index == tokenizer.unk_token_id]
    else:
        pieces = [text]
    return list(dict.fromkeys(pieces))


def _missing_from_table(tokenizer: Any, text: str) -> list[str]:
    """What a character or word tokenizer refuses; nothing for other tokenizers."""
    if not (tokenizer.is_fast and isinstance(tokenizer.backend_tokenizer.model, models.WordLevel)):
        return []
    known, splitter = tokenizer.get_vocab(), tokenizer.backend_tokenizer.pre_tokenizer
    between_added = re.split("|".join(map(re.escape, tokenizer.get_added_vocab())), text)
    return [piece for part in between_added for piece, _ in splitter.pre_tokenize_str(part) if piece not in known]


def _shortened(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _around_difference(text: str, back: str, margin: int = 30) -> tuple[str, str]:
    """Both texts near the first character in which they differ, the whole of them where they are short."""
    same = next((index for index, (a, b) in enumerate(zip(text, back)) if a != b), min(len(text), len(back)))
    start, end = max(0, same - margin), same + margin

    def near(side: str) -> str:
        return ("…" if start else "") + side[start:end] + ("…" if end < len(side) else "")

    return near(text), near(back)
