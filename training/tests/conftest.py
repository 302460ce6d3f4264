import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# Before jax is imported: the same sums in the same order as the process itself has.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
# Tests run the same steps again and again.
COMPILED = tempfile.TemporaryDirectory()
os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

EXAMPLES = Path(__file__).parents[2] / "examples" / "training"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, str(EXAMPLES / "make-tiny-model.py"), str(folder)], check=True)
    return folder


@pytest.fixture
def job(tiny, tmp_path):
    def made(**changed) -> dict:
        return {
            "model": str(tiny / "model"),
            "data": str(tiny / "train.jsonl"),
            "evaluation": str(tiny / "evaluation.jsonl"),
            "runFolder": str(tmp_path / "run"),
            "recipe": "fp8-delayed",
            "microBatch": 2,
            "accumulation": 2,
            "sequenceTokens": 96,
            "seed": 1,
            "steps": 4,
            "learningRate": 3e-3,
            **changed,
        }

    return made


@pytest.fixture
def process():
    def run(command: str, job: dict):
        done = subprocess.run(
            [sys.executable, "-m", "cutover_training", command],
            input=json.dumps(job) + "\n",
            capture_output=True,
            text=True,
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, events, done.stderr

    return run
