"""Every option of the published commands: its type, its default, what it means. Options are read as words, and all that is wrong
with them is said at once."""

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

from tacit.compat.values import count, natural, number, one_of, positive, whole
from tacit.errors import TacitError
from tacit.registry import nearest


class Option(NamedTuple):
    """One option. `read` raises a ValueError that says what is expected; None marks a switch, which takes no value."""

    name: str
    read: Callable[[str], Any] | None
    default: Any
    help: str


class Given(NamedTuple):
    """A command line that was read."""

    values: dict[str, Any]
    """Every option's value, the default where it was not given."""
    named: frozenset[str]
    """The options that were given."""
    faults: list[str]
    """What is wrong with it, each fault a sentence."""


def limit(text: str) -> int | None:
    return None if text == "inf" else natural(text)


REQUIRED = object()
"""The default of an option that must be given."""

TRAIN = (
    Option("model", str, "gpt2", "the base model, a folder or a hub id"),
    Option("train_path", str, None, "training rows, a text file"),
    Option("val_path", str, None, "validation rows, a text file"),
    Option("test_path", str, None, "test rows, a text file, read when training is over"),
    Option("data_path", str, None, "rows from a folder or a data set of the hub instead"),
    Option("data_name", str, None, "its configuration, such as 4_by_4_mult"),
    Option("train_split", str, "train", "the name of its training split"),
    Option("valid_split", str, "valid", "the name of its validation split"),
    Option("test_split", str, None, "the name of its test split"),
    Option("epochs", positive, 1.0, "passes over the data"),
    Option("train_steps", count, None, "micro-batches to train on, instead of epochs"),
    Option("lr", positive, 5e-5, "learning rate, constant"),
    Option("batch_size", count, 32, "rows in a micro-batch"),
    Option("accumulate", count, 1, "micro-batches in an update"),
    Option("remove_per_epoch", positive, 8.0, "tokens removed in each pass"),
    Option("remove_all_when_remove_beyond", limit, None, "tokens after which all others go at once, or inf"),
    Option("removal_smoothing_lambda", positive, math.inf, "some rows lose a few tokens more; inf: none does"),
    Option("removal_side", one_of("left", "right"), "left", "which end vanishes first"),
    Option("pretrain_epochs", natural, 0, "passes before removal begins"),
    Option("remove_start_from", natural, 0, "tokens that are gone from the start"),
    Option("truncation", whole, -1, "longest row in tokens; a GPT-2 gets as many positions"),
    Option("max_len_train", whole, -1, "rows longer than this after removal are left out of their step"),
    Option("max_new_tokens", count, 800, "longest answer when evaluating"),
    Option("max_size", whole, -1, "train on the first so many rows"),
    Option("save_model", str, REQUIRED, "the run folder"),
    Option("from_pretrained", str, None, "start from this folder's weights instead of --model"),
    Option("seed", natural, 1234, "seed of everything"),
    Option("max_grad_norm", positive, 1.0, "largest gradient norm"),
    Option("bf16", None, False, "bf16 arithmetic over fp32 weights"),
    Option("reset_optimizer", None, False, "forget the optimizer's averages whenever a token is removed"),
    Option("keep_position", None, False, "what follows a cut keeps its positions"),
    Option("reinitialize_weights", None, False, "the architecture of --model with fresh weights"),
    Option("save_interval", count, 2500, "micro-batches between checkpoints; once an epoch where it is not given"),
    Option("eval_interval", count, 2500, "micro-batches between evaluations; once an epoch where it is not given"),
    Option("max_remove_length", whole, 20, "has no effect"),
    Option("remove_tokens", None, False, "remove by steps instead of by epochs"),
    Option("remove_from_n_steps", natural, 0, "with --remove_tokens: the micro-batch at which it begins"),
    Option("remove_from_n_tokens", natural, 1, "with --remove_tokens: tokens that are gone from the start"),
    Option("remove_every_n_step", count, 5000, "with --remove_tokens: micro-batches for each further token"),
    Option("switch_tokens", None, False, "swap tokens for pauses"),
    Option("switch_from_n_steps", natural, 5000, "with --switch_tokens: the micro-batch at which it begins"),
    Option("switch_from_n_rate", number, 0.0, "with --switch_tokens: percent swapped at the beginning"),
    Option("switch_token_ratio", positive, 1.0, "with --switch_tokens: pauses for each token"),
    Option("switch_mode", one_of("depth", "sequential", "random"), "random", "with --switch_tokens: which tokens"),
    Option("layout", one_of("eos", "ready"), None, "ours: rows with the end of text, or with <|start|> and <|ready|>"),
    Option("dry_run", None, False, "ours: print the recipe that would run, and stop"),
)

GENERATE = (
    Option("from_pretrained", str, REQUIRED, "a run, a model folder or a folder of the published code"),
    Option("test_path", str, REQUIRED, "rows, a text file"),
    Option("max_new_tokens", count, 800, "longest answer"),
    Option("batch_size", count, 1, "questions answered at once"),
    Option("truncation", whole, -1, "has no effect: questions are not cut"),
    Option("bf16", None, False, "weights in bf16"),
    Option("layout", one_of("eos", "ready"), None, "ours: how rows are written, where the folder does not say"),
)

MISSING = object()
"""Stands for the value that was left out behind an option."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise TacitError(f"{self.prog}: {message}")


def parse(words: Sequence[str], options: Iterable[Option], program: str, about: str) -> Given:
    """Read a command line. Faults are collected, not raised."""
    table = {option.name: option for option in options}
    parser = _Parser(prog=program, description=about, allow_abbrev=False)
    for option in table.values():
        default = "required" if option.default is REQUIRED else f"default {option.default}"
        if option.read is None:
            parser.add_argument(f"--{option.name}", action="store_const", const=True, help=option.help)
        else:
            parser.add_argument(f"--{option.name}", nargs="?", const=MISSING, help=f"{option.help} ({default})")
    found, unknown = parser.parse_known_args(list(words))
    given = {name: value for name, value in vars(found).items() if value is not None}
    values = {name: None if option.default is REQUIRED else option.default for name, option in table.items()}
    faults = [_unknown(word, table) for word in unknown]
    for name, option in table.items():
        if name not in given:
            if option.default is REQUIRED:
                faults.append(f"--{name} is missing: {option.help}")
        elif given[name] is MISSING or given[name] == "":
            faults.append(f"--{name} has no value (an unset variable, perhaps): {option.help}")
        else:
            try:
                values[name] = option.read(given[name]) if option.read else True
            except ValueError as error:
                faults.append(f"--{name} {given[name]}: {error}")
    return Given(values, frozenset(given), faults)


def _unknown(word: str, table: dict[str, Option]) -> str:
    if not word.startswith("--"):
        return f"{word} belongs to no option"
    return f"{word} is no option of this command{nearest(word, [f'--{name}' for name in table])}"


def refuse(program: str, faults: Sequence[str]) -> None:
    """All faults in one error, if there are any."""
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise TacitError(f"{program} cannot run this command; {len(faults)} fault{'s' * (len(faults) != 1)}:{listed}")
