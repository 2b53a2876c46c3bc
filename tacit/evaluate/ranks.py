"""Work shared among the processes of a group: each takes its part once, all get everything. Alone, nothing happens."""

from typing import Any

import torch.distributed as dist


def share(items: list) -> list:
    """The part of this process. The parts have no item in common, so nothing is counted twice."""
    if not _grouped():
        return items
    return items[dist.get_rank() :: dist.get_world_size()]


def gathered(mine: Any) -> list[Any]:
    """What every process has found, in the order of their ranks."""
    if not _grouped():
        return [mine]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, mine)
    return parts


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
