"""What a process is asked to do: one JSON object, checked field by field."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from .problems import BadInput
from .recipes import Recipe, recipe_named


@dataclass(frozen=True)
class Optimizer:
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    clip: float


@dataclass(frozen=True)
class Job:
    model: Path
    tokenizer: Path
    data: Path
    evaluation: Path
    run_folder: Path
    recipe: Recipe
    recompute: bool
    micro_batch: int
    accumulation: int
    sequence_tokens: int
    seed: int
    steps: int
    optimizer: Optimizer
    gradient_norm_most: float
    saturation_most: float
    memory_bytes: int | None
    #: Checkpoints that the run will write, for the space they need.
    checkpoints: int
    #: (linear, step, factor): multiplies that input at that step, to rehearse an overflow. None in earnest.
    fault: tuple[str, int, float] | None
    document: dict

    @property
    def batch(self) -> int:
        return self.micro_batch * self.accumulation


def read_job(document: object) -> Job:
    if not isinstance(document, dict):
        raise BadInput(f"job: expected a JSON object, got {type(document).__name__}")

    def value(field: str, kind, fallback=None, least=None):
        found = document.get(field, fallback)
        fits = isinstance(found, kind) and not (isinstance(found, bool) and kind is not bool)
        if not fits or (least is not None and found < least):
            name = kind.__name__ if isinstance(kind, type) else "number"
            bound = "" if least is None else f" of at least {least}"
            raise BadInput(f"{field}: expected {name}{bound}, got {found!r}")
        return found

    number = (int, float)
    model = Path(value("model", str))
    fault = document.get("fault")
    return Job(
        model=model,
        tokenizer=Path(value("tokenizer", str, str(model / "tokenizer.json"))),
        data=Path(value("data", str)),
        evaluation=Path(value("evaluation", str)),
        run_folder=Path(value("runFolder", str)),
        recipe=recipe_named(document.get("recipe")),
        recompute=value("recompute", bool, False),
        micro_batch=value("microBatch", int, 1, 1),
        accumulation=value("accumulation", int, 1, 1),
        sequence_tokens=value("sequenceTokens", int, None, 2),
        seed=value("seed", int, 0, 0),
        steps=value("steps", int, None, 1),
        optimizer=Optimizer(
            learning_rate=float(value("learningRate", number, 1e-4, 0)),
            warmup_steps=value("warmupSteps", int, 0, 0),
            weight_decay=float(value("weightDecay", number, 0.0, 0)),
            beta1=float(value("beta1", number, 0.9, 0)),
            beta2=float(value("beta2", number, 0.95, 0)),
            epsilon=float(value("epsilon", number, 1e-8, 0)),
            clip=float(value("clip", number, 1.0, 0)),
        ),
        gradient_norm_most=float(value("gradientNormMost", number, 1e4, 0)),
        saturation_most=float(value("saturationMost", number, 0.01, 0)),
        memory_bytes=None if document.get("memoryBytes") is None else value("memoryBytes", int, None, 1),
        checkpoints=value("checkpoints", int, 1, 0),
        fault=None if fault is None else (fault["linear"], fault["step"], float(fault["factor"])),
        document=document,
    )


def identity_of(job: Job) -> str:
    """What a loss curve depends on besides recipe and micro-batch: a checkpoint of other data is refused."""
    kept = ("seed", "sequenceTokens", "steps", "learningRate", "warmupSteps", "weightDecay")
    kept += ("beta1", "beta2", "epsilon", "clip")
    settings = {name: job.document.get(name) for name in kept} | {"batch": job.batch}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in (job.model / "config.json", job.tokenizer, job.data):
        digest.update(file.read_bytes())
    return digest.hexdigest()
