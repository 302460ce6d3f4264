"""A trained checkpoint as a folder that serves: config, weights in BF16, tokenizer, and their digest."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import ml_dtypes
from safetensors.numpy import save_file

from . import checkpoint, model
from .config import read_config
from .job import Job
from .problems import BadInput


def export(job: Job, source: str, target: Path, record: dict) -> dict:
    """Writes the folder and returns {path, digest}. Exporting the same checkpoint anew gives the same digest."""
    config, document = read_config(job.model / "config.json")
    manifest, tensors = checkpoint.load(Path(source))
    weights = {name: tensors[f"weights/{name}"].astype(ml_dtypes.bfloat16) for name in model.shapes(config)}
    partial = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for field in ("dtype", "torch_dtype"):
            document.pop(field, None)
        document["torch_dtype"] = "bfloat16"
        document.pop("quantization_config", None)
        (partial / "config.json").write_text(json.dumps(document, indent=2) + "\n")
        save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
        shutil.copyfile(job.tokenizer, partial / "tokenizer.json")
        served = sorted(file.name for file in partial.iterdir())
        files = {name: checkpoint.described(partial / name) for name in served}
        digest = digest_of(files)
        about = {"format": 1, "digest": digest, "files": files, "step": manifest["step"], **record}
        (partial / "training.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
        try:
            os.rename(partial, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if digest_in(target) != digest:
                raise BadInput(f"export: {target} is there already and holds something else") from None
            shutil.rmtree(partial)
        return {"path": str(target), "digest": digest}
    except OSError as error:
        if error.errno in checkpoint.STORAGE:
            raise checkpoint.storage_problem(error, target, "exportFolder") from None
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def digest_of(files: dict) -> str:
    """SHA-256 over lines `sha256  name`, as `sha256sum` writes them, in the order of names."""
    lines = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def digest_in(folder: Path) -> str | None:
    names = ("config.json", "model.safetensors", "tokenizer.json")
    if not all((folder / name).is_file() for name in names):
        return None
    return digest_of({name: checkpoint.described(folder / name) for name in names})
