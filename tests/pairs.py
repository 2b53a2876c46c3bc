"""Two processes of one run."""

import os
import socket

import torch
from accelerate.state import AcceleratorState


def fork_two(process, *given) -> None:
    """Two processes that may meet: process(rank, port, *given). A fork has torch imported already, which is most of what a
    fresh process would do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(process, (port, *given), nprocs=2, start_method="fork")


def become_one_of_two(rank: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"MASTER_PORT": str(port)} | (
        {"ACCELERATE_USE_CPU": "true"} if torch.accelerator.is_available() else {}
    )
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)  # what the parent knew of itself
