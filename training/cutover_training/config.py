"""A Hugging Face config.json as the shape of a decoder-only transformer."""

import json
from dataclasses import dataclass
from pathlib import Path

from .problems import BadInput

#: Architectures whose layers are known here; others are refused rather than guessed.
KNOWN_TYPES = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe")


@dataclass(frozen=True)
class ModelConfig:
    model_type: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    norm_epsilon: float
    rope_theta: float
    rope_scaling: tuple | None
    longest: int | None
    tied: bool
    attention_bias: str
    qk_norm: bool
    experts: int
    experts_per_token: int
    expert_intermediate: int
    normalise_experts: bool
    dense_layers: tuple

    def is_sparse(self, layer: int) -> bool:
        return self.experts > 0 and layer not in self.dense_layers


def read_config(path: Path) -> tuple[ModelConfig, dict]:
    """The shape and the document itself; throws BadInput that names the field."""
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadInput(f"model: expected a config.json, there is no {path}") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"model: {path} is not readable as JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadInput(f"model: expected {path} to hold a JSON object, got {type(document).__name__}")
    return config_of(document, str(path)), document


def config_of(document: dict, name: str) -> ModelConfig:
    kind = document.get("model_type")
    if kind not in KNOWN_TYPES:
        raise BadInput(
            f"{name}: model_type {kind!r} is an architecture that cannot be trained here "
            f"(known: {', '.join(KNOWN_TYPES)})"
        )

    def count(field: str, fallback=None) -> int:
        value = document.get(field)
        value = fallback if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadInput(f"{name}: {field}: expected a whole number above 0, got {value!r}")
        return value

    if document.get("hidden_act", "silu") != "silu":
        raise BadInput(f"{name}: hidden_act: expected silu, got {document['hidden_act']!r}")
    if document.get("sliding_window") and document.get("use_sliding_window", kind in ("mistral", "mixtral")):
        window = document["sliding_window"]
    else:
        window = None
    heads = count("num_attention_heads")
    kv_heads = count("num_key_value_heads", heads)
    if heads % kv_heads != 0:
        raise BadInput(f"{name}: num_key_value_heads: expected a divisor of {heads}, got {kv_heads}")
    hidden = count("hidden_size")
    head_dim = count("head_dim", hidden // heads)
    if head_dim % 2 != 0:
        raise BadInput(f"{name}: head_dim: expected an even number, got {head_dim}")
    layers = count("num_hidden_layers")
    experts = per_token = width = 0
    dense: tuple = ()
    if kind == "mixtral":
        experts, per_token = count("num_local_experts"), count("num_experts_per_tok")
        width = count("intermediate_size")
    elif kind == "qwen3_moe":
        experts, per_token = count("num_experts"), count("num_experts_per_tok")
        width = count("moe_intermediate_size")
        every = count("decoder_sparse_step", 1)
        listed = document.get("mlp_only_layers") or []
        dense = tuple(n for n in range(layers) if n in listed or (n + 1) % every != 0)
    if per_token > experts:
        raise BadInput(f"{name}: num_experts_per_tok: expected at most {experts}, got {per_token}")
    rope = document.get("rope_parameters") or {}
    longest = document.get("max_position_embeddings")
    return ModelConfig(
        model_type=kind,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=count("intermediate_size"),
        vocab=count("vocab_size"),
        norm_epsilon=float(document.get("rms_norm_eps", 1e-6)),
        rope_theta=float(rope.get("rope_theta", document.get("rope_theta", 10000.0))),
        rope_scaling=_rope_scaling(rope or document.get("rope_scaling"), name),
        longest=min(n for n in (longest, window) if n) if longest or window else None,
        tied=bool(document.get("tie_word_embeddings", False)),
        attention_bias="qkv" if kind == "qwen2" else "qkvo" if document.get("attention_bias") else "none",
        qk_norm=kind in ("qwen3", "qwen3_moe"),
        experts=experts,
        experts_per_token=per_token,
        expert_intermediate=width,
        normalise_experts=kind == "mixtral" or bool(document.get("norm_topk_prob", False)),
        dense_layers=dense,
    )


def _rope_scaling(scaling, name: str) -> tuple | None:
    """(factor, low, high, original length) of Llama 3; factor alone for `linear`; None where nothing is scaled."""
    if not scaling:
        return None
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    try:
        if kind == "default":
            return None
        if kind == "linear":
            return (float(scaling["factor"]),)
        if kind == "llama3":
            names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
            return tuple(float(scaling[field]) for field in names)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{name}: rope_scaling: {kind} lacks a number: {error}") from None
    raise BadInput(f"{name}: rope_scaling: expected default, linear or llama3, got {kind!r}")
