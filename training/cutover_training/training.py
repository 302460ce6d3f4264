"""Steps of training: gradients over micro-batches, clipping, AdamW in FP32, and what is written of each step."""

import json
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from . import checkpoint, data, model
from .config import read_config
from .fp8 import OPERANDS, STATISTICS
from .job import Job, Optimizer, identity_of
from .problems import BadInput, CorruptCheckpoint, Diverged, OutOfMemory
from .weights import read_weights

SHAPE = (len(OPERANDS), len(STATISTICS))


def learning_rate(optimizer: Optimizer, step, steps: int):
    """Linear warm-up, then half a cosine down to a tenth. `step` counts from 1."""
    warm = jnp.minimum(1.0, step / max(1, optimizer.warmup_steps))
    done = jnp.clip((step - optimizer.warmup_steps) / max(1, steps - optimizer.warmup_steps), 0, 1)
    return optimizer.learning_rate * warm * (0.55 + 0.45 * jnp.cos(jnp.pi * done))


def adamw(optimizer: Optimizer, steps: int, params, m, v, gradients, tokens, step):
    """One step over summed gradients; returns the new state and the norm before clipping."""
    gradients = {name: g / tokens for name, g in gradients.items()}
    length = jnp.sqrt(sum(jnp.sum(g * g) for g in gradients.values()))
    factor = jnp.where(length > optimizer.clip, optimizer.clip / length, 1.0)
    rate = learning_rate(optimizer, step, steps)
    b1, b2 = optimizer.beta1, optimizer.beta2
    new_params, new_m, new_v = {}, {}, {}
    for name, g in gradients.items():
        g = g * factor
        new_m[name] = b1 * m[name] + (1 - b1) * g
        new_v[name] = b2 * v[name] + (1 - b2) * g * g
        update = (new_m[name] / (1 - b1**step)) / (jnp.sqrt(new_v[name] / (1 - b2**step)) + optimizer.epsilon)
        # Norms and biases are not pulled towards zero.
        decay = optimizer.weight_decay if params[name].ndim > 1 else 0.0
        new_params[name] = params[name] - rate * (update + decay * params[name])
    return new_params, new_m, new_v, length, rate


class Training:
    """The state of a run on the device, from the weights or from a checkpoint on."""

    def __init__(self, job: Job, start: str | None):
        self.job = job
        self.config, _ = read_config(job.model / "config.json")
        tokenizer = data.read_tokenizer(job.tokenizer, self.config.vocab)
        self.chats = data.read_chats(job.data, tokenizer, job.sequence_tokens)
        self.linears = model.linears(self.config)
        if job.fault is not None and job.fault[0] not in self.linears:
            raise BadInput(f"fault: expected one of the model's linear layers, got {job.fault[0]!r}")
        self.identity = identity_of(job)
        self.step, self.parent = 0, None
        self.history = np.zeros((len(self.linears), len(OPERANDS), max(1, job.recipe.history)), np.float32)
        expected = model.shapes(self.config)
        if start is None:
            weights = read_weights(job.model, expected)
            zeros = {name: np.zeros(shape, np.float32) for name, shape in expected.items()}
            self._put(weights, zeros, zeros)
        else:
            self._resume(start, expected)
        self.facts: dict = {}
        self._compile()

    def _put(self, params, m, v) -> None:
        self.params, self.m, self.v = (jax.tree.map(jnp.array, part) for part in (params, m, v))

    def _resume(self, start: str, expected: dict[str, tuple]) -> None:
        manifest, tensors = checkpoint.load(checkpoint.Path(start))
        if manifest["identity"] != self.identity:
            raise BadInput(f"checkpoint {start} was made with other data, another model or other settings")
        parts = [
            {name: tensors[f"{part}/{name}"] for name in expected if f"{part}/{name}" in tensors}
            for part in ("weights", "m", "v")
        ]
        for part in parts:
            if {name: array.shape for name, array in part.items()} != expected:
                raise CorruptCheckpoint(f"checkpoint {start} does not hold the tensors of this model")
        self._put(*parts)
        self.step, self.parent = manifest["step"], start[-12:]
        kept = tensors.get("fp8/history")
        # A checkpoint of another recipe has none: the scales begin anew.
        if kept is not None and kept.shape == self.history.shape:
            self.history = kept.copy()

    def _compile(self) -> None:
        job, config = self.job, self.config

        def gradients(params, total, amaxes, batch, factor):
            probes = {name: jnp.zeros(SHAPE, jnp.float32) for name in self.linears}
            past = {name: amaxes[at] for at, name in enumerate(self.linears)}
            spike = None if job.fault is None else (job.fault[0], factor)

            def loss(params, probes):
                return model.loss_sum(config, job.recipe, job.recompute, params, probes, past, batch, spike)

            value, (found, probed) = jax.value_and_grad(loss, argnums=(0, 1))(params, probes)
            counted = jnp.stack([probed[name] for name in self.linears])
            return value, counted, jax.tree.map(jnp.add, total, found)

        sample = data.batch_of(self.chats, [0] * job.micro_batch, job.sequence_tokens)
        amaxes = np.zeros((len(self.linears), len(OPERANDS)), np.float32)
        lowered = jax.jit(gradients, donate_argnums=1).lower(
            self.params, self.params, amaxes, sample, np.float32(1)
        )
        try:
            self.gradients = lowered.compile()
        except jax.errors.JaxRuntimeError as error:
            raise as_out_of_memory(error, job) from None
        needs = self.gradients.memory_analysis()
        self.temporary_bytes = 0 if needs is None else needs.temp_size_in_bytes
        # Both moments lie beside what the gradients take.
        state = 16 * sum(int(np.prod(shape)) for shape in model.shapes(config).values())
        if job.memory_bytes is not None and state + self.temporary_bytes > job.memory_bytes:
            raise OutOfMemory(
                f"a micro-batch of {job.micro_batch} x {job.sequence_tokens} tokens needs "
                f"{state + self.temporary_bytes} bytes, and {job.memory_bytes} may be used",
                needsBytes=state + self.temporary_bytes,
            )
        self.apply = jax.jit(partial(adamw, job.optimizer, job.steps), donate_argnums=(0, 1, 2))

    def run(self, to_step: int, report: Callable[[dict], None]) -> tuple[dict, dict]:
        """Trains up to a step and saves; returns the checkpoint and what was measured."""
        metrics: list[str] = []
        live = 0
        self.counted = np.zeros((len(self.linears), *SHAPE))
        while self.step < to_step:
            line, live = self._one(live)
            metrics.append(json.dumps(line, sort_keys=True))
            report(line)
        saved = self.save(metrics)
        return saved, {"liveBytes": live, "temporaryBytes": self.temporary_bytes}

    def saturation(self, most: int = 8) -> list[dict]:
        """The operands of which most was clipped since this process began, worst first."""
        found = [
            {
                "layer": name,
                "operand": operand,
                "overflow": int(self.counted[at, of, 1]),
                "underflow": int(self.counted[at, of, 2]),
                "elements": int(self.counted[at, of, 3]),
            }
            for at, name in enumerate(self.linears)
            for of, operand in enumerate(OPERANDS)
        ]
        return sorted(found, key=lambda one: -one["overflow"] / max(1, one["elements"]))[:most]

    def _one(self, live: int) -> tuple[dict, int]:
        job, step = self.job, self.step + 1
        picked = data.picked_for(step, len(self.chats), job.batch, job.seed)
        batches = [
            data.batch_of(self.chats, picked[first : first + job.micro_batch], job.sequence_tokens)
            for first in range(0, job.batch, job.micro_batch)
        ]
        tokens = float(sum(batch["mask"].sum() for batch in batches))
        total = {name: jnp.zeros(array.shape, jnp.float32) for name, array in self.params.items()}
        amaxes = self.history.max(axis=2)
        factor = np.float32(job.fault[2] if job.fault is not None and job.fault[1] == step else 1)
        losses, counted = 0.0, np.zeros((len(self.linears), *SHAPE), np.float32)
        for batch in batches:
            loss, found, total = self.gradients(self.params, total, amaxes, batch, factor)
            losses += float(loss)
            found = np.asarray(found)
            counted[:, :, 0] = np.maximum(counted[:, :, 0], found[:, :, 0])
            counted[:, :, 1:] += found[:, :, 1:]
        live = max(live, sum(array.nbytes for array in jax.live_arrays()))
        self.params, self.m, self.v, length, rate = self.apply(
            self.params, self.m, self.v, total, np.float32(tokens), np.float32(step)
        )
        line = {
            "step": step,
            "recipe": job.recipe.name,
            "loss": losses / tokens,
            "gradientNorm": float(length),
            "learningRate": float(rate),
            "tokens": int(tokens),
        }
        if job.recipe.scaling != "none":
            line |= self._counts(counted)
        self._refuse_divergence(line, counted)
        self.counted += counted
        finite = np.where(np.isfinite(counted[:, :, 0]), counted[:, :, 0], 0)
        self.history[:, :, (step - 1) % self.history.shape[2]] = finite
        self.step = step
        return line, live

    def _counts(self, counted: np.ndarray) -> dict:
        layers = {
            name: {
                operand: dict(zip(STATISTICS, map(_number, counted[at, of]), strict=True))
                for of, operand in enumerate(OPERANDS)
            }
            for at, name in enumerate(self.linears)
        }
        overflow, underflow = (int(counted[:, :, at].sum()) for at in (1, 2))
        return {"overflow": overflow, "underflow": underflow, "layers": layers}

    def _refuse_divergence(self, line: dict, counted: np.ndarray) -> None:
        job = self.job
        share = counted[:, :, 1] / np.maximum(1, counted[:, :, 3])
        worst = tuple(int(n) for n in np.unravel_index(np.argmax(share), share.shape))
        # An overflow forward is where it began: what it does to gradients below and above comes after.
        forward = np.argwhere(share[:, :2] > job.saturation_most)
        if len(forward) > 0:
            worst = max((tuple(int(n) for n in at) for at in forward), key=lambda at: share[at])
        where = {"step": line["step"], "layer": self.linears[worst[0]], "operand": OPERANDS[worst[1]]}
        finite = np.isfinite(line["loss"]) and np.isfinite(line["gradientNorm"])
        if share[worst] > job.saturation_most:
            raise Diverged(
                f"step {line['step']}: {100 * share[worst]:.1f}% of the {where['operand']} of {where['layer']} "
                f"is beyond its FP8 format, and {100 * job.saturation_most:g}% is the most",
                why="saturation",
                **where,
            )
        if not finite:
            raise Diverged(f"step {line['step']}: loss or gradient norm is not finite", why="not finite", step=line["step"])
        if line["gradientNorm"] > job.gradient_norm_most:
            raise Diverged(
                f"step {line['step']}: the gradient norm is {line['gradientNorm']:.4g}, "
                f"and {job.gradient_norm_most:g} is the most",
                why="gradient norm",
                step=line["step"],
            )

    def save(self, metrics: list[str]) -> dict:
        tensors = {
            f"{part}/{name}": np.asarray(array)
            for part, arrays in (("weights", self.params), ("m", self.m), ("v", self.v))
            for name, array in arrays.items()
        }
        if self.job.recipe.history > 0:
            tensors["fp8/history"] = self.history
        facts = {"identity": self.identity, "recipe": self.job.recipe.name, "parent": self.parent}
        return checkpoint.save(self.job.run_folder / "checkpoints", self.step, tensors, metrics, facts)


def as_out_of_memory(error: Exception, job: Job) -> Exception:
    if "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower():
        return OutOfMemory(
            f"a micro-batch of {job.micro_batch} x {job.sequence_tokens} tokens does not fit the device"
        )
    return error


def _number(value) -> float | int | str:
    """JSON has no infinity: such a magnitude is said as text."""
    value = float(value)
    if not np.isfinite(value):
        return str(value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value
