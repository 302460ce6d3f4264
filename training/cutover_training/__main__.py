"""`python -m cutover_training check|train|evaluate|export|generate`: one JSON object in, JSON lines out.

The job is the first line of standard input. Events: `started`, `step`, `result` or `error`, one object per line.
Exit codes: 0 done, 1 unexpected, 2 bad input, 3 diverged, 4 out of memory, 5 no storage, 6 corrupt checkpoint.
With `--with-parent` the process ends as soon as its standard input does: whoever started it is gone.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    commands = ("check", "train", "evaluate", "export", "generate")
    if not arguments or arguments[0] not in commands:
        print(f"expected one of {', '.join(commands)}, then the job as JSON on standard input", file=sys.stderr)
        return 2
    line = sys.stdin.readline()
    # What generates reads its standard input itself, to the end.
    if "--with-parent" in arguments and arguments[0] != "generate":
        threading.Thread(target=_end_with_parent, daemon=True).start()
    # One thread, so that sums have one order: the same seed gives the same bits. A GPU is not affected.
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    from .problems import BadInput, OutOfMemory, Problem

    try:
        try:
            document = json.loads(line)
        except ValueError as error:
            raise BadInput(f"job: the first line of standard input is not JSON: {error}") from None
        if arguments[0] == "generate":
            from .generation import generate

            if not isinstance(document, dict):
                raise BadInput(f"job: expected a JSON object, got {type(document).__name__}")
            generate(document, _emit)
        else:
            _emit({"event": "result", **_run(arguments[0], document)})
        return 0
    except Problem as problem:
        _emit({"event": "error", "kind": problem.kind, "message": str(problem), **problem.facts})
        return problem.exit_code
    except MemoryError as error:
        _emit({"event": "error", "kind": OutOfMemory.kind, "message": f"this machine has no memory left: {error}"})
        return OutOfMemory.exit_code
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            _emit({"event": "error", "kind": OutOfMemory.kind, "message": str(error)[:500]})
            return OutOfMemory.exit_code
        raise


def _run(command: str, document) -> dict:
    _keep_compiled(document)
    from .job import read_job

    job = read_job(document)
    if command == "check":
        from .check import check

        target = document.get("target")
        return check(job, Path(target) if isinstance(target, str) else None)
    if command == "train":
        return _train(job, document)
    if command == "evaluate":
        from .evaluation import evaluate

        return {"losses": evaluate(job, document["sides"])}
    from .export import export

    return export(job, document["from"], Path(document["target"]), document.get("record", {}))


def _keep_compiled(document) -> None:
    """Every process of a run compiles the same steps: only the first one has to. Read by JAX when it is imported."""
    folder = document.get("runFolder") if isinstance(document, dict) else None
    if isinstance(folder, str):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(folder, "compiled"))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _train(job, document) -> dict:
    import jax

    from .training import Training

    begun = time.monotonic()
    training = Training(job, document.get("from"))
    device = jax.devices()[0]
    _emit({"event": "started", "step": training.step, "device": f"{device.platform}: {device.device_kind}"})
    compiled = time.monotonic()

    def report(line: dict) -> None:
        _emit({"event": "step", **{name: value for name, value in line.items() if name != "layers"}})

    steps = document["toStep"] - training.step
    saved, memory = training.run(document["toStep"], report)
    spent = time.monotonic() - compiled
    return {
        "checkpoint": saved,
        "memory": memory,
        "saturation": [] if job.recipe.scaling == "none" else training.saturation(),
        "setUpSeconds": round(compiled - begun, 3),
        "secondsPerStep": round(spent / max(1, steps), 4),
    }


def _emit(event: dict) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
