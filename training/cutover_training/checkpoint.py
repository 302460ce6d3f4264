"""Checkpoints: a folder named by its content, whole or not there at all.

`step-00000050-3f2a…` holds `state.safetensors` (FP32 weights, both moments, histories), `metrics.jsonl` (the steps
since the checkpoint before it) and `manifest.json` with the SHA-256 of both. The same steps give the same name.
"""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .problems import CorruptCheckpoint, NoStorage

STORAGE = {errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EPERM, errno.EDQUOT, errno.ENOTDIR}


def storage_problem(error: OSError, folder: Path, field: str = "runFolder") -> NoStorage:
    return NoStorage(f"{field}: {folder} cannot be written: {error.strerror or error}")


def save(folder: Path, step: int, tensors: dict[str, np.ndarray], metrics: list[str], facts: dict) -> dict:
    """Writes a checkpoint and returns {path, step, digest, bytes}. Facts must not depend on time or machine."""
    partial = folder / f".partial-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        save_file(tensors, partial / "state.safetensors")
        (partial / "metrics.jsonl").write_text("".join(line + "\n" for line in metrics))
        files = {name: described(partial / name) for name in ("state.safetensors", "metrics.jsonl")}
        manifest = json.dumps({"format": 1, "step": step, **facts, "files": files}, sort_keys=True, indent=1) + "\n"
        (partial / "manifest.json").write_text(manifest)
        for file in partial.iterdir():
            _flush(file)
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        target = folder / f"step-{step:08d}-{digest[:12]}"
        try:
            os.rename(partial, target)
        except OSError as error:
            # The same steps were done before: by a process whose word was lost, or they were damaged since.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if is_whole(target):
                shutil.rmtree(partial)
            else:
                shutil.rmtree(target)
                os.rename(partial, target)
        _flush(folder)
        return {
            "path": str(target),
            "step": step,
            "digest": digest,
            "bytes": sum(part["bytes"] for part in files.values()),
        }
    except SafetensorError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise NoStorage(f"runFolder: {folder} cannot be written: {error}") from None
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno in STORAGE:
            raise storage_problem(error, folder) from None
        raise


def load(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Manifest and tensors, after every hash was compared; throws CorruptCheckpoint."""
    try:
        text = (path / "manifest.json").read_bytes()
        manifest = json.loads(text)
        digest = hashlib.sha256(text).hexdigest()
        if not path.name.endswith(digest[:12]):
            raise CorruptCheckpoint(f"checkpoint {path}: its manifest was changed")
        for name, expected in manifest["files"].items():
            found = described(path / name)
            if found != expected:
                raise CorruptCheckpoint(
                    f"checkpoint {path}: {name}: expected SHA-256 {expected['sha256'][:12]} and "
                    f"{expected['bytes']} bytes, got {found['sha256'][:12]} and {found['bytes']} bytes"
                )
        return manifest, load_file(path / "state.safetensors")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CorruptCheckpoint(f"checkpoint {path} cannot be read: {error}") from None


def is_whole(path: Path) -> bool:
    try:
        load(path)
        return True
    except CorruptCheckpoint:
        return False


def described(file: Path) -> dict:
    with file.open("rb") as stream:
        return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": file.stat().st_size}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
