"""Recipes of number formats, as data. From the fastest to the safest: fp8-delayed, fp8-current, fp8-block, bf16."""

from dataclasses import dataclass

import jax.numpy as jnp

from .problems import BadInput


@dataclass(frozen=True)
class Format:
    """An FP8 format of the OCP specification."""

    dtype: type
    largest: float
    #: From here on rounding alone does not lead back to the largest value: the value is clipped.
    clips_above: float


E4M3 = Format(jnp.float8_e4m3fn, 448.0, 464.0)
E5M2 = Format(jnp.float8_e5m2, 57344.0, 61440.0)


@dataclass(frozen=True)
class Recipe:
    name: str
    #: `none` multiplies in `compute`; `tensor` has one scale per tensor; `block` one per 1x128 tile or 128x128 block.
    scaling: str
    #: The type of activations between matrix products.
    compute: type
    forward: Format | None = None
    backward: Format | None = None
    #: Steps whose largest magnitudes give the scale; 0 takes the scale from the tensor itself.
    history: int = 0
    #: Powers of two kept free above the largest magnitude.
    margin: int = 0


RECIPES = {
    recipe.name: recipe
    for recipe in (
        # Transformer Engine's HYBRID recipe.
        Recipe("fp8-delayed", "tensor", jnp.bfloat16, E4M3, E5M2, history=1024),
        Recipe("fp8-current", "tensor", jnp.bfloat16, E4M3, E5M2),
        # DeepSeek-V3: E4M3 in both directions, 1x128 for activations and gradients, 128x128 for weights.
        Recipe("fp8-block", "block", jnp.bfloat16, E4M3, E4M3),
        Recipe("bf16", "none", jnp.bfloat16),
    )
}


def recipe_named(name: object) -> Recipe:
    recipe = RECIPES.get(name) if isinstance(name, str) else None
    if recipe is None:
        raise BadInput(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    return recipe
