"""Where a model is: a run, a checkpoint in it, any model folder, or an id of the hub. Costs nothing to import."""

from pathlib import Path

from tacit.errors import ModelError


def is_folder_name(name: str) -> bool:
    """Whether a name can only be a folder: hub ids have one slash at most, and do not start like a path."""
    return name.startswith((".", "/", "~", "runs/")) or name.count("/") > 1 or Path(name).expanduser().is_dir()


def find_folder(name: str | Path) -> str:
    """The folder that a name stands for: of a run its `final/`, or else its newest checkpoint. A hub id is left as it is."""
    name = str(name)
    if not is_folder_name(name):
        return name
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ModelError(f"there is no folder {name}; name a run, a model folder or a hub id")
    if (folder / "final").is_dir():
        return str(folder / "final")
    numbered = {int(step.name[5:]): step for step in folder.glob("checkpoints/step-*") if step.name[5:].isdecimal()}
    return str(numbered[max(numbered)] if numbered else folder)


def find_weights(name: str | Path) -> str:
    """`find_folder`, for a folder that must hold a model."""
    place = find_folder(name)
    if is_folder_name(place) and not any(find_file(place, config) for config in ("config.json", "adapter_config.json")):
        raise ModelError(
            f"{name} holds no model: neither final/ nor checkpoints/step-N as in a run, nor the config.json of a model "
            "folder. Name another folder, or let the training run get as far as its first checkpoint"
        )
    return place


def find_file(place: str, name: str, revision: str | None = None) -> Path | None:
    """A file of a model folder or of a hub id; None where there is no such file."""
    if is_folder_name(place):
        file = Path(place).expanduser() / name
        return file if file.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(place, name, revision=revision))
    except EntryNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(unreachable(place, error)) from error


def unreachable(name: str, error: Exception, what: str = "a causal language model") -> str:
    """What went wrong with a folder or a hub id, and what to do, in one sentence."""
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if Path(name).expanduser().exists():
        return f"{name} cannot be loaded as {what}: {said}"
    if "gated" in str(error).lower() or "401 client error" in str(error).lower():
        return f"{name} is gated: accept its terms on its page, then set HF_TOKEN to a token of your account. ({said})"
    return (
        f"{name} is neither a folder here nor a hub id that can be reached; check the name, the network and HF_HUB_OFFLINE. "
        f"({said})"
    )
