"""A run as one plain model folder, for other tools and for the hub."""

from pathlib import Path

from tacit.errors import ModelError, TacitError
from tacit.models.folder import BASE
from tacit.models.places import find_file, find_weights

OWN = ("format", "tokens", "thinking", BASE)
"""Facts that a folder states about itself; the others are about the run, and go along."""


def merge(run: str | Path, folder: str | Path) -> list[str]:
    """Add a run's adapters to its base in fp32 and save the whole, tokenizer and learned parts included. What a user should know
    about the result is returned, a line each."""
    from tacit.models.adapters import is_adapted, merged
    from tacit.thinker import Thinker
    from tacit.train.checkpoint import check_space

    place, folder = find_weights(run), Path(folder)
    if folder.exists() and folder.resolve() == Path(place).resolve():
        raise ModelError(f"{folder} holds the adapters themselves, which would be lost; name another folder")
    thinker = Thinker.from_pretrained(place)
    adapted = is_adapted(thinker.model)
    whole = merged(thinker)
    check_space(folder.absolute(), whole)
    about = {name: fact for name, fact in whole.facts.items() if name not in OWN}
    whole.save_pretrained(folder, about)
    return [] if adapted else [f"{run} has no adapters: its weights were copied as they are"]


def needs_tacit(folder: str | Path) -> str:
    """Why other tools cannot make its silent steps, in one sentence; empty if they have no learned parts."""
    from tacit.models.folder import PARTS

    file = find_file(str(folder), PARTS)
    if file is None or not _has_parameters(file):
        return ""
    return (
        f"its silent steps pass through learned parts ({PARTS}): tacit.load makes them, while AutoModelForCausalLM loads the "
        "language model without them"
    )


def _has_parameters(file: Path) -> bool:
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        return any(name.startswith("module.") for name in tensors.keys())  # noqa: SIM118 (it is no mapping)


def check_repository(name: str) -> None:
    """Refuse what cannot be pushed to, before anything is merged."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise TacitError(f"--push {name}: no repository can have this name ({error}); write OWNER/NAME") from error
    if get_token() is None:
        raise TacitError(f"--push {name}: nobody is logged in; set HF_TOKEN to a token that may write there")


def push(folder: str | Path, repository: str, public: bool = False) -> str:
    """Upload a model folder as it is, tokenizer included; the address of the repository, which is made if it is new."""
    from huggingface_hub import HfApi

    hub = HfApi()
    try:
        address = hub.create_repo(repository, private=not public, exist_ok=True)
        hub.upload_folder(
            repo_id=address.repo_id, folder_path=folder, commit_message="Weights and tokenizer, saved by tacit"
        )
    except Exception as error:  # its client raises errors of several libraries
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TacitError(
            f"{repository} could not be pushed: {said}. Check the name, the network and whether HF_TOKEN may write there"
        ) from error
    return str(address)
