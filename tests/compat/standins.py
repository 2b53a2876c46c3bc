"""Tiny folders in the place of published models and data, with real tokenizers: byte pairs as GPT-2 has them, and the
byte-fallback pairs with prepended blanks of Llama and Mistral."""

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, GPT2Config, MistralConfig, PreTrainedTokenizerFast

from tacit.tasks.formats import icot_line
from tacit.tasks.multiplication import Multiplication

GPT2_PIECES = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
END = "<|endoftext|>"
GSM8K = [
    "Jan has 16 eggs, eats 3 and bakes 4. She sells the rest at $2. How much?||<<16-3-4=9>> <<9*2=18>> #### 18",
    "A robe takes 2 bolts of blue and half as much white. How many?||<<2/2=1>> <<2+1=3>> #### 3",
    "He runs 3 sprints of 60 meters 3 times a week. How far in total?||<<3*3=9>> <<9*60=540>> #### 540",
    "A house of 80,000 gains 150 percent. What is it worth?||<<80000*1.5=120000>> <<80000+120000=200000>> #### 200000",
]
TEXTS = [*GSM8K, *"0123456789", "1 2 3 + 4 ( 5 ) * 6 #### 7 8 9 0"]


def multiplication(size: int, rows: int, split: str = "train") -> str:
    """A text file of the published format."""
    task = Multiplication(left=size, right=size, **{f"{split}_rows": rows})
    return "".join(f"{icot_line(example)}\n" for example in task.examples(split))


def gpt2_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(GPT2_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([f" {text}" for text in TEXTS], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, unk_token=END, clean_up_tokenization_spaces=False
    )


def gpt2(folder, positions: int = 160, seed: int = 100):
    """A folder as that of `gpt2`, with weights of the seed."""
    tokenizer = gpt2_tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=positions, n_embd=16, n_layer=1, n_head=2,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return _saved(config, tokenizer, folder, seed)


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=special + [f"<0x{byte:02X}>" for byte in range(256)], show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def mistral(folder):
    """A folder as that of `mistralai/Mistral-7B-v0.1`."""
    tokenizer = mistral_tokenizer()
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=256, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return _saved(config, tokenizer, folder, seed=100)


def _saved(config, tokenizer, folder, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model
