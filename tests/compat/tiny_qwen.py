"""A folder such as that of a Qwen2 model, with a byte-pair tokenizer of its own, small enough to train in a second."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

END = "<|endoftext|>"
LINES = [
    "Jan has 16 eggs and eats 3, then bakes 4. How many are left?||<<16-3=13>> <<13-4=9>> #### 9",
    "A robe takes 2 bolts of blue and half as much white. How many bolts?||<<2/2=1>> <<2+1=3>> #### 3",
    "He runs 3 sprints 3 times a week, 60 meters each. How far in a week?||<<3*3=9>> <<9*60=540>> #### 540",
    "A pen costs 2 and a book 1,000 more. What do both cost?||<<2+1000=1002>> <<1002+2=1004>> #### 1,004",
    "It was 5 below zero and got 2 colder. What is it now?||<<-5-2=-7>> #### -7",
    "Lena has 7 plums. How many plums does Lena have?|| #### 7",
]


def tokenizer() -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=360, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([*LINES, "<<", " <<"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, clean_up_tokenization_spaces=False)


def write_model(folder: Path, positions: int = 256) -> Path:
    words = tokenizer()
    config = Qwen2Config(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=positions, tie_word_embeddings=True,
        eos_token_id=words.eos_token_id, bos_token_id=words.eos_token_id,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def write_lines(folder: Path) -> Path:
    """The published text files."""
    folder.mkdir()
    for split, count in (("train", 4), ("valid", 1), ("test", 1)):
        (folder / f"{split}.txt").write_text("".join(f"{line}\n" for line in LINES * count), encoding="utf-8")
    return folder
