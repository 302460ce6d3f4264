"""Everything that can be found wrong before the first step, and what the planner has to know of the model."""

import os
import shutil
from pathlib import Path

import jax
import numpy as np

from . import data, model
from .checkpoint import storage_problem
from .config import read_config
from .export import digest_in
from .job import Job
from .problems import BadInput, NoStorage
from .weights import check_weights

STATE_BYTES = 12


def check(job: Job, target: Path | None = None) -> dict:
    """`target` is the folder that the model is to be exported to."""
    config, document = read_config(job.model / "config.json")
    if config.longest is not None and job.sequence_tokens > config.longest:
        raise BadInput(
            f"sequenceTokens: expected at most {config.longest}, the model's longest context, got {job.sequence_tokens}"
        )
    expected = model.shapes(config)
    check_weights(job.model, expected)
    tokenizer = data.read_tokenizer(job.tokenizer, config.vocab)
    train = data.read_chats(job.data, tokenizer, job.sequence_tokens)
    held = data.read_chats(job.evaluation, tokenizer, job.sequence_tokens)
    parameters = sum(int(np.prod(shape)) for shape in expected.values())
    check_storage(job.run_folder, job.checkpoints * STATE_BYTES * parameters)
    if target is not None:
        check_target(target)
    device = jax.devices()[0]
    limit = (device.memory_stats() or {}).get("bytes_limit") if device.platform != "cpu" else _memory_available()
    return {
        "parameters": parameters,
        "linears": len(model.linears(config)),
        "config": document,
        "chats": len(train),
        "evaluationChats": len(held),
        "learnedTokens": int(sum(mask.sum() for _, mask in train)),
        "chatFormat": data.chat_format(tokenizer),
        "device": f"{device.platform}: {device.device_kind}",
        "memoryBytes": limit,
        "jax": jax.__version__,
    }


def check_target(target: Path) -> None:
    """What an earlier job exported is never written over, and that is said before this one trains."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        held = digest_in(target)
        what = "something" if held is None else f"an exported model already ({held})"
        raise BadInput(f"exportFolder: {target} holds {what}: name another folder, or move that one away")
    # Folders above it are made when it is exported.
    above = next(folder for folder in target.parents if folder.is_dir())
    if not os.access(above, os.W_OK):
        raise NoStorage(f"exportFolder: {above} cannot be written")


def check_storage(folder: Path, needed: int) -> None:
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"0")
        probe.unlink()
    except OSError as error:
        raise storage_problem(error, folder) from None
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoStorage(f"runFolder: the checkpoints need {needed} bytes and {folder} has {free} left")


def _memory_available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
