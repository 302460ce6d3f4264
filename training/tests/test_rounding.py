"""Each recipe's rounding against a reference that knows neither JAX nor its FP8 types, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cutover_training import fp8
from cutover_training.recipes import E4M3, E5M2, RECIPES

LAYOUT = {E4M3: (3, -6, 448.0), E5M2: (2, -14, 57344.0)}


def reference(values: np.ndarray, fmt) -> np.ndarray:
    """Nearest, ties to even, clamped: in float64, whose products here are exact."""
    mantissa, lowest, largest = LAYOUT[fmt]
    wide = values.astype(np.float64)
    size = np.minimum(np.abs(wide), largest)
    exponent = np.maximum(np.floor(np.log2(np.where(size == 0, 1, size))), lowest)
    quantum = 2.0 ** (exponent - mantissa)
    return np.copysign(np.minimum(np.round(size / quantum) * quantum, largest), wide)


def samples() -> np.ndarray:
    random = np.random.default_rng(0)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = [random.standard_normal(50_000) * scale for scale in (1e-9, 1e-3, 1, 300, 1e5, 1e30)]
        bits = random.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    codes = np.concatenate([np.float32(2.0) ** np.arange(-20, 17)] * 8) * np.repeat(np.arange(1, 9), 37)
    ties = np.concatenate([codes * np.float32(1 + k / 16) for k in range(16)])
    near = [np.nextafter(ties, np.float32(at), dtype=np.float32) for at in (-np.inf, np.inf)]
    found = np.concatenate([part.astype(np.float32) for part in (*spread, bits, ties, *near)])
    return found[np.isfinite(found)]


def as_bits(values) -> np.ndarray:
    return np.asarray(values).astype(np.float32).view(np.uint32)


@pytest.mark.parametrize("fmt", [E4M3, E5M2])
def test_rounds_every_magnitude_as_the_reference_does(fmt):
    x = samples()
    got = jax.jit(lambda x: fp8.quantise(x, jnp.float32(1), fmt))(x)
    assert np.array_equal(as_bits(got), as_bits(reference(x, fmt)))


@pytest.mark.parametrize("past", [0.0, 3.5])
@pytest.mark.parametrize("name", ["fp8-delayed", "fp8-current"])
def test_scales_a_tensor_by_its_past_or_by_itself(name, past):
    recipe = RECIPES[name]
    x = np.random.default_rng(1).standard_normal((37, 50)).astype(np.float32)
    q, inverse, counted = jax.jit(lambda x: fp8._scaled(x, np.float32(past), E4M3, recipe))(x)
    amax = np.float32(past) if recipe.history and past > 0 else np.abs(x).max()
    scale = np.float32(448) / amax
    assert np.array_equal(as_bits(q), as_bits(reference(x * scale, E4M3)))
    assert np.asarray(inverse) == np.float32(1) / scale
    assert counted[0] == np.abs(x).max() and counted[3] == x.size
    assert counted[1] == np.sum(np.abs(x * scale) > 464)


@pytest.mark.parametrize("square", [False, True])
def test_scales_tiles_and_blocks_of_128(square):
    x = np.random.default_rng(2).standard_normal((256, 384)).astype(np.float32)
    x[3] *= 1000
    q, inverse, _ = jax.jit(lambda x: fp8.tiles(x, E4M3, square))(x)
    for row in (0, 3, 130, 255):
        for k in range(3):
            part = x[row, k * 128 : (k + 1) * 128]
            first = row // 128 * 128
            scaled_by = x[first : first + 128, k * 128 : (k + 1) * 128] if square else part
            scale = np.float32(448) / np.abs(scaled_by).max()
            assert np.array_equal(as_bits(q[k, row]), as_bits(reference(part * scale, E4M3)))
            assert np.asarray(inverse)[k, row] == np.float32(1) / scale


def test_a_margin_keeps_powers_of_two_free():
    assert fp8.scale_of(jnp.float32(7), E4M3, 2) == np.float32(448) / np.float32(7) / 4


@pytest.mark.parametrize("amax", [0.0, np.inf, np.nan, 1e-45])
def test_no_scale_comes_from_nothing(amax):
    assert fp8.scale_of(jnp.float32(amax), E4M3) == 1


def test_what_is_not_a_number_stays_so_and_is_counted():
    x = jnp.array([1.0, np.nan, np.inf, -np.inf], jnp.float32)
    q = fp8.quantise(x, jnp.float32(1), E4M3)
    assert np.isnan(np.asarray(q, np.float32)[1])
    assert fp8.statistics(x, jnp.float32(1), q, E4M3)[1] == 3
