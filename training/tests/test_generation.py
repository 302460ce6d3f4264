"""What serves computes what was trained."""

import json
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cutover_training import generation, model
from cutover_training.config import config_of

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 32,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8,
    "low_freq_factor": 1,
    "high_freq_factor": 4,
    "original_max_position_embeddings": 8,
}
KINDS = {
    "llama": {"tie_word_embeddings": True, "rope_scaling": LLAMA3, "attention_bias": True},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8},
}


@pytest.mark.parametrize("kind", KINDS)
def test_token_by_token_gives_the_loss_of_the_whole_sequence(kind):
    config = config_of({"model_type": kind, **SMALL, **KINDS[kind]}, "config")
    random = np.random.default_rng(1)
    params = {name: jnp.array(random.standard_normal(s) * 0.3, jnp.float32) for name, s in model.shapes(config).items()}
    tokens = random.integers(0, config.vocab, (3, 13)).astype(np.int32)
    batch = {"tokens": tokens, "mask": np.ones((3, 12), np.float32)}
    none = dict.fromkeys(model.linears(config))
    whole = jax.jit(lambda given: model.loss_sum(config, generation.SERVED, False, given, none, none, batch))(params)
    step = jax.jit(partial(generation.logits_of, config))
    cache = [jnp.zeros((3, 12, config.kv_heads, config.head_dim), jnp.float32) for _ in range(2 * config.layers)]
    total = 0.0
    for place in range(12):
        places = jnp.full(3, place)
        logits, cache = step(params, cache, tokens[:, place], places)
        said = jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, place + 1, None], axis=1)
        total -= float(said.sum())
    assert total == pytest.approx(float(whole), rel=1e-5)


def test_a_folder_is_served_and_what_cannot_be_answered_is_refused(tiny):
    question = {"id": 1, "messages": [{"role": "user", "content": "Hello"}], "maxTokens": 3, "temperature": 0}
    lines = [{"model": str(tiny / "model"), "slots": 1}, question, {"id": 2, "messages": "Hello"}, question | {"id": 3}]
    long = question | {"id": 4, "messages": [{"role": "user", "content": "a" * 300}]}
    done = subprocess.run(
        [sys.executable, "-m", "cutover_training", "generate"],
        input="".join(json.dumps(line) + "\n" for line in [*lines, long]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "ready" and events[0]["digest"].startswith("sha256:")
    ended = {event["id"]: event for event in events if event["event"] in ("done", "refused")}
    assert ended[1] | {"id": 3} == ended[3]
    assert (ended[1]["finish"], ended[1]["tokens"]) == ("length", 3)
    assert "expected" in ended[2]["message"] and "fewer than 256 tokens" in ended[4]["message"]
    texts = ["".join(event["text"] for event in events if event["event"] == "text" and event["id"] == n) for n in (1, 3)]
    assert texts[0] == texts[1]
