"""Matrix products in FP8 with their gradients, and the counts that say how well the formats fit."""

from functools import partial

import jax
import jax.numpy as jnp

from .recipes import Format, Recipe

BLOCK = 128
#: Of each of input, weight and output gradient: largest magnitude, clipped or not finite, flushed to zero, elements.
STATISTICS = ("amax", "overflow", "underflow", "elements")
OPERANDS = ("input", "weight", "gradient")


def scale_of(amax, fmt: Format, margin: int = 0):
    """What maps the largest magnitude to the largest finite value; 1 where there is nothing to go by."""
    scale = jnp.float32(fmt.largest) / amax / jnp.float32(2.0**margin)
    return jnp.where((amax > 0) & jnp.isfinite(scale) & (scale > 0), scale, jnp.float32(1))


def quantise(x, scale, fmt: Format):
    """Nearest value of the format, ties to even, beyond the largest clamped; NaN stays NaN."""
    return jnp.clip(x.astype(jnp.float32) * scale, -fmt.largest, fmt.largest).astype(fmt.dtype)


def statistics(x, scale, q, fmt: Format):
    scaled = jnp.abs(x.astype(jnp.float32) * scale)
    overflow = jnp.sum(~(scaled <= fmt.clips_above))
    underflow = jnp.sum((q.astype(jnp.float32) == 0) & (x != 0))
    return jnp.stack(
        [
            jnp.max(jnp.abs(x)).astype(jnp.float32),
            overflow.astype(jnp.float32),
            underflow.astype(jnp.float32),
            jnp.float32(x.size),
        ]
    )


def linear(recipe: Recipe, x, w, amaxes, probe):
    """x [tokens, in] times the transpose of w [out, in]. `amaxes` [3] are past magnitudes, 0 for none.

    The gradient of `probe` [3, 4] is no gradient: it carries `STATISTICS` of `OPERANDS` out of the backward pass.
    """
    if recipe.scaling == "none":
        y = _dot(x.astype(recipe.compute), w.astype(recipe.compute), 1, 1)
        return y.astype(recipe.compute)
    product = _block_linear if recipe.scaling == "block" else _tensor_linear
    return product(recipe, x, w, amaxes, probe)


def _dot(a, b, a_axis: int, b_axis: int):
    wide = jnp.float64 if a.dtype == jnp.float64 else jnp.float32
    return jax.lax.dot_general(a, b, (((a_axis,), (b_axis,)), ((), ())), preferred_element_type=wide)


# One scale per tensor


def _scaled(x, past, fmt: Format | None, recipe: Recipe):
    """Quantised, its inverse scale, its statistics."""
    if fmt is None:  # only tests of the gradients: no rounding at all
        return x, jnp.ones((), x.dtype), jnp.zeros(len(STATISTICS), jnp.float32)
    amax = jnp.max(jnp.abs(x)).astype(jnp.float32)
    # The first step has no past: it goes by its own magnitude rather than by a scale of 1.
    known = jnp.where(past > 0, past, amax) if recipe.history > 0 else amax
    scale = scale_of(known, fmt, recipe.margin)
    q = quantise(x, scale, fmt)
    return q, 1 / scale, statistics(x, scale, q, fmt)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _tensor_linear(recipe, x, w, amaxes, probe):
    return _tensor_forward(recipe, x, w, amaxes, probe)[0]


def _tensor_forward(recipe, x, w, amaxes, probe):
    qx, ix, of_x = _scaled(x, amaxes[0], recipe.forward, recipe)
    qw, iw, of_w = _scaled(w, amaxes[1], recipe.forward, recipe)
    y = (_dot(qx, qw, 1, 1) * (ix * iw)).astype(recipe.compute)
    return y, (qx, ix, of_x, qw, iw, of_w, amaxes)


def _tensor_backward(recipe, kept, g):
    qx, ix, of_x, qw, iw, of_w, amaxes = kept
    qg, ig, of_g = _scaled(g, amaxes[2], recipe.backward, recipe)
    dx = (_dot(qg, qw, 1, 0) * (ig * iw)).astype(recipe.compute)
    dw = _dot(qg, qx, 0, 0) * (ig * ix)
    return dx, dw, jnp.zeros_like(amaxes), jnp.stack([of_x, of_w, of_g])


_tensor_linear.defvjp(_tensor_forward, _tensor_backward)


# One scale per tile of 128 along the contracted axis, or per block of 128 x 128


def padded(a):
    """Zeros up to multiples of 128: they change no scale and no sum."""
    return jnp.pad(a, [(0, -size % BLOCK) for size in a.shape])


def tiles(a, fmt: Format, square: bool = False):
    """[M, K] padded -> quantised [K/128, M, 128] and the inverse scales [K/128, M]; `square` shares one per 128 rows."""
    rows, columns = a.shape
    parts = a.reshape(rows, columns // BLOCK, BLOCK)
    amax = jnp.max(jnp.abs(parts), axis=2).astype(jnp.float32)
    if square:
        amax = jnp.max(amax.reshape(rows // BLOCK, BLOCK, -1), axis=1)
        amax = jnp.repeat(amax, BLOCK, axis=0)
    scale = scale_of(amax, fmt)
    q = quantise(parts, scale[:, :, None], fmt)
    return q.transpose(1, 0, 2), (1 / scale).T, scale


def block_dot(a, b):
    """Products of tiles are summed in FP32, each by its own scales, as on matrix units that sum 128 at a time."""
    (qa, ia, _), (qb, ib, _) = a, b

    def add(k, total):
        return total + _dot(qa[k], qb[k], 1, 1) * (ia[k][:, None] * ib[k][None, :])

    return jax.lax.fori_loop(0, qa.shape[0], add, jnp.zeros((qa.shape[1], qb.shape[1]), jnp.float32))


def _tile_statistics(a, tiled, fmt: Format, elements: int):
    q, _, scale = tiled
    parts = a.reshape(a.shape[0], -1, BLOCK)
    counted = statistics(parts, scale[:, :, None], q.transpose(1, 0, 2), fmt)
    return counted.at[3].set(elements)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _block_linear(recipe, x, w, amaxes, probe):
    return _block_forward(recipe, x, w, amaxes, probe)[0]


def _block_forward(recipe, x, w, amaxes, probe):
    px, pw = padded(x), padded(w)
    tx, tw = tiles(px, recipe.forward), tiles(pw, recipe.forward, square=True)
    y = block_dot(tx, tw)[: x.shape[0], : w.shape[0]].astype(recipe.compute)
    of_x = _tile_statistics(px, tx, recipe.forward, x.size)
    of_w = _tile_statistics(pw, tw, recipe.forward, w.size)
    return y, (x, w, of_x, of_w, amaxes)


def _block_backward(recipe, kept, g):
    x, w, of_x, of_w, amaxes = kept
    px, pw, pg = padded(x), padded(w), padded(g)
    tg = tiles(pg, recipe.backward)
    dx = block_dot(tg, tiles(pw.T, recipe.forward, square=True))[: x.shape[0], : x.shape[1]]
    # Both are tiled anew, along the tokens.
    dw = block_dot(tiles(pg.T, recipe.backward), tiles(px.T, recipe.forward))[: w.shape[0], : w.shape[1]]
    of_g = _tile_statistics(pg, tg, recipe.backward, g.size)
    return dx.astype(recipe.compute), dw, jnp.zeros_like(amaxes), jnp.stack([of_x, of_w, of_g])


_block_linear.defvjp(_block_forward, _block_backward)
