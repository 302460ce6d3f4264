"""Loss per batch of checkpoints on the evaluation chats, each by its recipe."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from . import checkpoint, data, model
from .config import read_config
from .fp8 import OPERANDS
from .job import Job
from .problems import BadInput, Diverged
from .recipes import recipe_named
from .training import SHAPE


def evaluate(job: Job, sides: list[dict]) -> list[list[float]]:
    """Of each side {checkpoint, recipe} the mean loss of every batch, over the same batches in the same order."""
    config, _ = read_config(job.model / "config.json")
    tokenizer = data.read_tokenizer(job.tokenizer, config.vocab)
    chats = data.read_chats(job.evaluation, tokenizer, job.sequence_tokens)
    size = min(job.micro_batch, len(chats))
    batches = [
        data.batch_of(chats, range(first, first + size), job.sequence_tokens)
        for first in range(0, len(chats) - size + 1, size)
    ]
    return [_losses(job, config, side, batches) for side in sides]


def _losses(job: Job, config, side: dict, batches) -> list[float]:
    names = model.linears(config)
    recipe = recipe_named(side.get("recipe"))
    manifest, tensors = checkpoint.load(Path(side["checkpoint"]))
    params = {name: jnp.array(tensors[f"weights/{name}"]) for name in model.shapes(config)}
    history = tensors.get("fp8/history")
    if recipe.history > 0 and history is None:
        raise BadInput(f"checkpoint {side['checkpoint']} of {manifest['recipe']} has no history for {recipe.name}")
    past = np.zeros((len(names), len(OPERANDS)), np.float32) if recipe.history == 0 else history.max(axis=2)

    @jax.jit
    def loss(params, past, batch):
        probes = {name: jnp.zeros(SHAPE, jnp.float32) for name in names}
        amaxes = {name: past[at] for at, name in enumerate(names)}
        return model.loss_sum(config, recipe, False, params, probes, amaxes, batch)

    losses = [float(loss(params, past, batch)) / float(batch["mask"].sum()) for batch in batches]
    if not np.isfinite(losses).all():
        raise Diverged(f"the loss of checkpoint {side['checkpoint']} in {recipe.name} is not finite", why="not finite")
    return losses
