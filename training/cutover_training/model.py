"""A decoder-only transformer over parameters named as Hugging Face names them."""

import jax
import jax.numpy as jnp

from .config import ModelConfig
from .fp8 import linear
from .recipes import Recipe


def shapes(config: ModelConfig) -> dict[str, tuple]:
    """Every parameter with its shape; matrices are [out, in]."""
    c = config
    found: dict[str, tuple] = {"model.embed_tokens.weight": (c.vocab, c.hidden)}
    for n in range(c.layers):
        at = f"model.layers.{n}."
        wide, narrow = c.heads * c.head_dim, c.kv_heads * c.head_dim
        found[at + "input_layernorm.weight"] = (c.hidden,)
        found[at + "post_attention_layernorm.weight"] = (c.hidden,)
        for part, size in (("q", wide), ("k", narrow), ("v", narrow)):
            found[f"{at}self_attn.{part}_proj.weight"] = (size, c.hidden)
            if c.attention_bias != "none":
                found[f"{at}self_attn.{part}_proj.bias"] = (size,)
        found[at + "self_attn.o_proj.weight"] = (c.hidden, wide)
        if c.attention_bias == "qkvo":
            found[at + "self_attn.o_proj.bias"] = (c.hidden,)
        if c.qk_norm:
            found[at + "self_attn.q_norm.weight"] = (c.head_dim,)
            found[at + "self_attn.k_norm.weight"] = (c.head_dim,)
        if c.is_sparse(n):
            found[at + _router(c)] = (c.experts, c.hidden)
        for names, width in _feed_forwards(c, n):
            gate, up, down = names
            found[gate + ".weight"] = (width, c.hidden)
            found[up + ".weight"] = (width, c.hidden)
            found[down + ".weight"] = (c.hidden, width)
    found["model.norm.weight"] = (c.hidden,)
    if not c.tied:
        found["lm_head.weight"] = (c.vocab, c.hidden)
    return found


def linears(config: ModelConfig) -> tuple[str, ...]:
    """The matrix products that a recipe applies to. Embedding, head, router and norms stay in BF16 and FP32."""
    apart = ("model.embed_tokens.weight", "lm_head.weight")
    return tuple(
        name.removesuffix(".weight")
        for name, shape in shapes(config).items()
        if len(shape) == 2 and name not in apart and not name.endswith(_router(config))
    )


def _router(config: ModelConfig) -> str:
    return "block_sparse_moe.gate.weight" if config.model_type == "mixtral" else "mlp.gate.weight"


def _feed_forwards(config: ModelConfig, n: int):
    """Names of gate, up and down projections, and their width: one network, or one per expert."""
    at = f"model.layers.{n}."
    if not config.is_sparse(n):
        return [(tuple(f"{at}mlp.{part}_proj" for part in ("gate", "up", "down")), config.intermediate)]
    room, parts = ("mlp", ("gate_proj", "up_proj", "down_proj"))
    if config.model_type == "mixtral":
        room, parts = ("block_sparse_moe", ("w1", "w3", "w2"))
    return [
        (tuple(f"{at}{room}.experts.{e}.{part}" for part in parts), config.expert_intermediate)
        for e in range(config.experts)
    ]


def loss_sum(config: ModelConfig, recipe: Recipe, recompute: bool, params, probes, amaxes, batch, spike=None):
    """Cross-entropy summed over the tokens that count, in FP32.

    `batch` holds tokens [B, S + 1] and mask [B, S]. `spike` = (linear, factor) multiplies one input, to plant a fault.
    """
    tokens, mask = batch["tokens"], batch["mask"]
    wide = jnp.float64 if recipe.compute == jnp.float64 else jnp.float32

    def apply(name, x):
        if spike is not None and spike[0] == name:
            x = x * spike[1].astype(x.dtype)
        flat = x.reshape(-1, x.shape[-1])
        y = linear(recipe, flat, params[name + ".weight"], amaxes[name], probes[name])
        y = y.reshape(*x.shape[:-1], -1)
        bias = params.get(name + ".bias")
        return y if bias is None else y + bias.astype(y.dtype)

    x = params["model.embed_tokens.weight"][tokens[:, :-1]].astype(recipe.compute)
    angles = rotation(config, x.shape[1], wide)
    for n in range(config.layers):

        def layer(x, n=n):
            at = f"model.layers.{n}."
            x = x + _attention(config, params, apply, at, norm(config, params[at + "input_layernorm.weight"], x), angles)
            h = norm(config, params[at + "post_attention_layernorm.weight"], x)
            return x + feed_forward(config, params, apply, n, h)

        x = jax.checkpoint(layer)(x) if recompute else layer(x)
    x = norm(config, params["model.norm.weight"], x)
    head = params["model.embed_tokens.weight" if config.tied else "lm_head.weight"].astype(recipe.compute)
    logits = jnp.einsum("bsh,vh->bsv", x, head, preferred_element_type=wide)
    target = jnp.take_along_axis(logits, tokens[:, 1:, None], axis=2)[..., 0]
    return jnp.sum((jax.nn.logsumexp(logits, axis=2) - target) * mask)


def norm(config: ModelConfig, weight, x):
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    scaled = wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + config.norm_epsilon)
    return (scaled * weight).astype(x.dtype)


def rotation(config: ModelConfig, length: int, dtype):
    """Cosine and sine of rotary positions, [S, head_dim / 2]."""
    frequency = config.rope_theta ** (-jnp.arange(0, config.head_dim, 2, dtype=dtype) / config.head_dim)
    scaling = config.rope_scaling
    if scaling is not None and len(scaling) == 1:
        frequency = frequency / scaling[0]
    elif scaling is not None:
        # Llama 3.1: long wavelengths are stretched, short ones kept, those between blended.
        factor, low, high, original = scaling
        turns = original * frequency / (2 * jnp.pi)
        blend = jnp.clip((turns - low) / (high - low), 0, 1)
        frequency = frequency * (blend + (1 - blend) / factor)
    angle = jnp.arange(length, dtype=dtype)[:, None] * frequency
    return jnp.cos(angle), jnp.sin(angle)


def rotated(x, angles):
    """x [B, S, heads, head_dim], halves rotated as in Hugging Face's layout."""
    cos, sin = (part[None, :, None, :] for part in angles)
    a, b = jnp.split(x.astype(cos.dtype), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(x.dtype)


def _attention(config: ModelConfig, params, apply, at, x, angles):
    batch, length, _ = x.shape

    def split(part, heads):
        y = apply(f"{at}self_attn.{part}_proj", x).reshape(batch, length, heads, config.head_dim)
        if config.qk_norm and part != "v":
            y = norm(config, params[f"{at}self_attn.{part}_norm.weight"], y)
        return y if part == "v" else rotated(y, angles)

    q, k, v = split("q", config.heads), split("k", config.kv_heads), split("v", config.kv_heads)
    # Queries of one group share a key and a value head; scores and softmax are wide.
    q = q.reshape(batch, length, config.kv_heads, -1, config.head_dim)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    scores = jnp.einsum("bqhgd,bkhd->bhgqk", q, k, preferred_element_type=wide) * config.head_dim**-0.5
    scores = jnp.where(jnp.tri(length, dtype=bool), scores, jnp.finfo(wide).min)
    shares = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
    y = jnp.einsum("bhgqk,bkhd->bqhgd", shares, v)
    return apply(f"{at}self_attn.o_proj", y.reshape(batch, length, -1))


def feed_forward(config: ModelConfig, params, apply, n, x):
    networks = _feed_forwards(config, n)

    def network(names, x):
        gate, up, down = names
        return apply(down, jax.nn.silu(apply(gate, x)) * apply(up, x))

    if not config.is_sparse(n):
        return network(networks[0][0], x)
    router = params[f"model.layers.{n}.{_router(config)}"]
    wide = jnp.promote_types(x.dtype, jnp.float32)
    weights = jax.nn.softmax(jnp.einsum("bsh,eh->bse", x.astype(wide), router.astype(wide)), axis=-1)
    kept, chosen = jax.lax.top_k(weights, config.experts_per_token)
    if config.normalise_experts:
        kept = kept / jnp.sum(kept, axis=-1, keepdims=True)
    share = jnp.sum(jax.nn.one_hot(chosen, config.experts, dtype=wide) * kept[..., None], axis=2)
    total = jnp.zeros_like(x)
    for e, (names, _) in enumerate(networks):
        # Every expert computes every token, zeros where it was not chosen: simple, and its counts are of its own.
        part = share[..., e : e + 1]
        total = total + network(names, jnp.where(part > 0, x, 0)) * part.astype(x.dtype)
    return total
