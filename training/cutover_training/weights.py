"""Weights from and to safetensors."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from .problems import BadInput


def read_weights(folder: Path, expected: dict[str, tuple]) -> dict[str, np.ndarray]:
    """FP32 copies of a model's parameters; throws BadInput that names the file or tensor."""
    found: dict[str, np.ndarray] = {}
    for file in _files(folder):
        try:
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():
                    if name in expected:
                        found[name] = np.asarray(tensors.get_tensor(name)).astype(np.float32)
        except FileNotFoundError:
            raise BadInput(f"weights: there is no {file}") from None
        except (SafetensorError, OSError, ValueError) as error:
            raise BadInput(f"weights: {file} is cut short or is not safetensors: {error}") from None
    for name, shape in expected.items():
        if name not in found:
            raise BadInput(f"weights: {folder} has no tensor {name}, which its config.json asks for")
        if found[name].shape != shape:
            raise BadInput(f"weights: {name}: expected shape {list(shape)}, got {list(found[name].shape)}")
        if not np.isfinite(found[name]).all():
            raise BadInput(f"weights: {name} holds a value that is not finite")
    return {name: found[name] for name in expected}


def check_weights(folder: Path, expected: dict[str, tuple]) -> None:
    """The headers alone: names, shapes, and that no file is cut short."""
    seen: dict[str, list] = {}
    for file in _files(folder):
        try:
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():
                    seen[name] = tensors.get_slice(name).get_shape()
        except FileNotFoundError:
            raise BadInput(f"weights: there is no {file}") from None
        except (SafetensorError, OSError, ValueError) as error:
            raise BadInput(f"weights: {file} is cut short or is not safetensors: {error}") from None
    for name, shape in expected.items():
        if name not in seen:
            raise BadInput(f"weights: {folder} has no tensor {name}, which its config.json asks for")
        if tuple(seen[name]) != shape:
            raise BadInput(f"weights: {name}: expected shape {list(shape)}, got {list(seen[name])}")


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return [folder / "model.safetensors"]
    try:
        names = set(json.loads(index.read_text())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"weights: {index} is not an index of safetensors: {error!r}") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise BadInput(f"weights: {index} names {name!r}: expected a file of its own folder")
    return [folder / name for name in sorted(names)]
