"""Gradients of every kind of layer against finite differences, in float64 and without rounding."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cutover_training import fp8, model
from cutover_training.config import config_of
from cutover_training.recipes import RECIPES, Recipe

jax.config.update("jax_enable_x64", True)

#: The path of one scale per tensor with its own backward pass, and nothing rounded.
EXACT = Recipe("exact", "tensor", jnp.float64)
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 20,
}
KINDS = {
    "llama": {"model_type": "llama", "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
              "high_freq_factor": 4, "original_max_position_embeddings": 16}},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", "head_dim": 8, "attention_bias": True},
    "mixtral": {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": {"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2,
                  "moe_intermediate_size": 12, "num_hidden_layers": 2, "mlp_only_layers": [0], "norm_topk_prob": True},
}


def parts(kind: str):
    config = config_of({**SMALL, **KINDS[kind]}, "config.json")
    random = np.random.default_rng(3)
    params = {name: jnp.array(random.standard_normal(shape) * 0.3) for name, shape in model.shapes(config).items()}
    batch = {"tokens": random.integers(0, 20, (2, 9)), "mask": (random.random((2, 8)) > 0.3).astype(float)}
    probes = {name: jnp.zeros((3, 4), jnp.float32) for name in model.linears(config)}
    past = {name: jnp.zeros(3, jnp.float32) for name in model.linears(config)}
    return config, params, probes, past, batch


@pytest.mark.parametrize(("kind", "recompute"), [*((kind, False) for kind in KINDS), ("mixtral", True)])
def test_gradients_agree_with_finite_differences(kind, recompute):
    config, params, probes, past, batch = parts(kind)

    @jax.jit
    def loss(params):
        return model.loss_sum(config, EXACT, recompute, params, probes, past, batch)

    found = jax.jit(jax.grad(loss))(params)
    random = np.random.default_rng(4)
    for name, array in params.items():
        towards = jnp.array(random.standard_normal(array.shape))
        step = 1e-5 / float(jnp.linalg.norm(towards))
        moved = [loss({**params, name: array + sign * step * towards}) for sign in (1, -1)]
        measured = float((moved[0] - moved[1]) / (2 * step))
        expected = float(jnp.sum(found[name] * towards))
        scale = float(jnp.linalg.norm(found[name]) * jnp.linalg.norm(towards))
        # A direction may be flat: the error is relative to the gradient's length, at least a hundredth of it.
        assert abs(measured - expected) <= 1e-4 * max(abs(expected), 1e-2 * scale), name


@pytest.mark.parametrize("name", ["fp8-delayed", "fp8-current", "fp8-block"])
def test_fp8_products_are_those_of_their_rounded_operands(name):
    """Forward and both gradients, each as close as FP8 can be to the exact product."""
    recipe = replace(RECIPES[name], compute=jnp.float32)
    random = np.random.default_rng(5)
    x, w, g = (jnp.array(random.standard_normal(s), jnp.float32) for s in ((200, 260), (140, 260), (200, 140)))

    def product(x, w, probe):
        return fp8.linear(recipe, x, w, jnp.zeros(3, jnp.float32), probe)

    @jax.jit
    def both(x, w, g):
        y, back = jax.vjp(product, x, w, jnp.zeros((3, 4), jnp.float32))
        return y, back(g)

    y, (dx, dw, counted) = both(x, w, g)
    for got, exact in ((y, x @ w.T), (dx, g @ w), (dw, g.T @ x)):
        error = jnp.linalg.norm(got - exact) / jnp.linalg.norm(exact)
        # Three bits of mantissa are off by at most a sixteenth; two, as gradients have in E5M2, by an eighth.
        assert 1e-3 < error < 0.09
    assert np.array_equal(counted[:, 3], [x.size, w.size, g.size])
    assert np.array_equal(counted[:, 0], [jnp.abs(a).max() for a in (x, w, g)])


def test_a_tensor_product_is_exactly_that_of_the_rounded_values():
    recipe = replace(RECIPES["fp8-current"], compute=jnp.float32)
    random = np.random.default_rng(6)
    x, w = (random.integers(-8, 9, s).astype(np.float32) for s in ((16, 32), (8, 32)))
    # Scales of a power of two, whole numbers: nothing is rounded, and every sum is exact.
    x[0, 0], w[0, 0] = 7 * 8, 7 * 8
    y = fp8.linear(recipe, x, w, jnp.zeros(3, jnp.float32), jnp.zeros((3, 4), jnp.float32))
    assert np.array_equal(y, x @ w.T)
