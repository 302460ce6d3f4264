"""Answers of an exported model, one token at a time: what it trained as is what it serves.

One line per question on standard input, `{"id", "messages", "maxTokens", "temperature"}`; on standard output `ready` with
the digest of the files that were loaded, `text` as it comes, `done` with how each answer ended, `refused` for a question
that cannot be read. Questions share steps: each takes a slot until its answer is complete.
"""

import json
import queue
import sys
import threading
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from . import data, model
from .config import ModelConfig, read_config
from .export import digest_in
from .fp8 import linear
from .problems import BadInput
from .recipes import Recipe
from .weights import read_weights

#: The exported BF16 weights, computed in FP32: on a CPU that is faster than BF16.
SERVED = Recipe("served", "none", jnp.float32)
LONGEST = 512
MOST_TOKENS = 256


class Generator:
    """A model folder, and the cache of what each slot has read and written."""

    def __init__(self, folder: Path, slots: int):
        self.config, _ = read_config(folder / "config.json")
        self.digest = digest_in(folder)
        if self.digest is None:
            raise BadInput(f"model: expected config.json, model.safetensors and tokenizer.json in {folder}")
        self.tokenizer = data.read_tokenizer(folder / "tokenizer.json", self.config.vocab)
        self.kind = data.chat_format(self.tokenizer)
        weights = read_weights(folder, model.shapes(self.config))
        self.params = {name: jnp.array(weight) for name, weight in weights.items()}
        self.length = min(self.config.longest or LONGEST, LONGEST)
        c = self.config
        #: Of each layer what its keys and values were, [slots, length, heads, size].
        self.cache = [jnp.zeros((slots, self.length, c.kv_heads, c.head_dim), jnp.float32) for _ in range(2 * c.layers)]
        self.step = jax.jit(partial(next_tokens, c), donate_argnums=1)
        self.steps = 0
        self.slots: list[Answer | None] = [None] * slots
        self.advance()

    def prompt(self, messages: list[tuple[str, str]]) -> list[int]:
        """What stands before the answer, as the chats that were trained on have it."""
        parts = ["".join(data.turn(self.kind, role, text)) for role, text in messages]
        opening, _ = data.turn(self.kind, "assistant", "")
        return self.tokenizer.encode("".join([*parts, opening]), add_special_tokens=False).ids

    def ends(self) -> tuple[int | None, str]:
        """The token and the text that end an answer."""
        _, end = data.turn(self.kind, "assistant", "")
        return self.tokenizer.token_to_id(end.strip()), end

    def take(self, question: dict) -> None:
        messages = data.messages_of(question, f"question {question.get('id')!r}")
        tokens = self.prompt(messages)
        if len(tokens) >= self.length:
            raise BadInput(f"messages: expected fewer than {self.length} tokens, got {len(tokens)}")
        asked = question.get("maxTokens") or MOST_TOKENS
        most = min(asked, MOST_TOKENS, self.length - len(tokens))
        self.slots[self.slots.index(None)] = Answer(question.get("id"), tokens, most, question.get("temperature", 1))

    def advance(self) -> list[dict]:
        """One token further in every slot; the events that came of it."""
        tokens = np.array([0 if a is None else a.next for a in self.slots], np.int32)
        places = np.array([0 if a is None else a.place for a in self.slots], np.int32)
        heat = np.array([0 if a is None else a.temperature for a in self.slots], np.float32)
        self.steps += 1
        found, self.cache = self.step(self.params, self.cache, tokens, places, heat, np.uint32(self.steps))
        events = []
        for slot, (answer, token) in enumerate(zip(self.slots, np.asarray(found).tolist(), strict=True)):
            if answer is None:
                continue
            events += answer.takes(token, self.tokenizer, *self.ends())
            if answer.finish is not None:
                self.slots[slot] = None
        return events


class Answer:
    def __init__(self, name, prompt: list[int], most: int, temperature: float):
        self.id, self.prompt, self.most, self.temperature = name, prompt, most, temperature
        self.written: list[int] = []
        self.said = ""
        self.place = 0
        self.finish: str | None = None

    @property
    def next(self) -> int:
        return self.prompt[self.place] if self.place < len(self.prompt) else self.written[-1]

    def takes(self, token: int, tokenizer, end: int | None, ending: str) -> list[dict]:
        """What the model says after what this slot has read; nothing while it still reads its prompt."""
        self.place += 1
        if self.place < len(self.prompt):
            return []
        if token != end:
            self.written.append(token)
        text = tokenizer.decode(self.written, skip_special_tokens=False)
        stopped = token == end or (end is None and ending in text)
        if stopped:
            text = text.split(ending)[0]
        self.finish = "stop" if stopped else "length" if len(self.written) >= self.most else None
        # A character of several tokens comes whole.
        whole = text if self.finish is not None else text.rstrip("\ufffd")
        new, self.said = whole[len(self.said) :], whole
        events = [] if new == "" else [{"event": "text", "id": self.id, "text": new}]
        if self.finish is not None:
            counts = {"promptTokens": len(self.prompt), "tokens": len(self.written)}
            events.append({"event": "done", "id": self.id, "finish": self.finish, **counts})
        return events


def next_tokens(config: ModelConfig, params, cache, tokens, places, heat, seed):
    """The token after one more of each slot, and the cache with it. A temperature of 0 takes the likeliest."""
    logits, cache = logits_of(config, params, cache, tokens, places)
    drawn = logits / jnp.maximum(heat, 1e-6)[:, None] + jax.random.gumbel(jax.random.key(seed), logits.shape)
    return jnp.where(heat > 0, jnp.argmax(drawn, axis=1), jnp.argmax(logits, axis=1)), cache


def logits_of(config: ModelConfig, params, cache, tokens, places):
    """Of one token per slot at its place; `cache` as `Generator` holds it."""
    recipe, slots = SERVED, jnp.arange(tokens.shape[0])
    length = cache[0].shape[1]
    cos, sin = model.rotation(config, length, jnp.float32)
    angles = (cos[places], sin[places])
    seen = jnp.arange(length)[None, :] <= places[:, None]
    kept = []

    def apply(name, x):
        y = linear(recipe, x.reshape(-1, x.shape[-1]), params[name + ".weight"], None, None)
        bias = params.get(name + ".bias")
        return (y if bias is None else y + bias.astype(y.dtype)).reshape(*x.shape[:-1], -1)

    def heads_of(n, part, x, count):
        y = apply(f"model.layers.{n}.self_attn.{part}_proj", x).reshape(-1, 1, count, config.head_dim)
        if config.qk_norm and part != "v":
            y = model.norm(config, params[f"model.layers.{n}.self_attn.{part}_norm.weight"], y)
        # One place per slot in place of one per position of a sequence.
        return y if part == "v" else model.rotated(jnp.swapaxes(y, 0, 1), angles).swapaxes(0, 1)

    x = params["model.embed_tokens.weight"][tokens][:, None].astype(recipe.compute)
    for n in range(config.layers):
        at = f"model.layers.{n}."
        h = model.norm(config, params[at + "input_layernorm.weight"], x)
        q = heads_of(n, "q", h, config.heads).reshape(-1, config.kv_heads, config.heads // config.kv_heads, config.head_dim)
        keys = cache[2 * n].at[slots, places].set(heads_of(n, "k", h, config.kv_heads)[:, 0])
        values = cache[2 * n + 1].at[slots, places].set(heads_of(n, "v", h, config.kv_heads)[:, 0])
        kept += [keys, values]
        scores = jnp.einsum("bhgd,bkhd->bhgk", q, keys, preferred_element_type=jnp.float32) * config.head_dim**-0.5
        scores = jnp.where(seen[:, None, None], scores, jnp.finfo(jnp.float32).min)
        shares = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
        y = jnp.einsum("bhgk,bkhd->bhgd", shares, values).reshape(-1, 1, config.heads * config.head_dim)
        x = x + apply(at + "self_attn.o_proj", y)
        x = x + model.feed_forward(config, params, apply, n, model.norm(config, params[at + "post_attention_layernorm.weight"], x))
    x = model.norm(config, params["model.norm.weight"], x[:, 0])
    head = params["model.embed_tokens.weight" if config.tied else "lm_head.weight"].astype(recipe.compute)
    return jnp.einsum("bh,vh->bv", x, head, preferred_element_type=jnp.float32), kept


def generate(document: dict, emit) -> None:
    """Answers questions until standard input ends."""
    folder, slots = document.get("model"), document.get("slots", 16)
    if not isinstance(folder, str):
        raise BadInput(f"model: expected a folder, got {folder!r}")
    if not isinstance(slots, int) or not 1 <= slots <= 256:
        raise BadInput(f"slots: expected a whole number from 1 to 256, got {slots!r}")
    generator = Generator(Path(folder), slots)
    emit({"event": "ready", "digest": generator.digest})
    waiting: queue.Queue = queue.Queue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    while True:
        while None in generator.slots:
            idle = all(slot is None for slot in generator.slots)
            try:
                line = waiting.get(block=idle)
            except queue.Empty:
                break
            if line is None:
                return
            _begin(generator, line, emit)
        for event in generator.advance():
            emit(event)


def _begin(generator: Generator, line: str, emit) -> None:
    question = None
    try:
        question = json.loads(line)
        generator.take(question)
    except (BadInput, ValueError, TypeError) as error:
        name = question.get("id") if isinstance(question, dict) else None
        emit({"event": "refused", "id": name, "message": str(error)})


def _read(waiting: queue.Queue) -> None:
    for line in sys.stdin:
        waiting.put(line)
    waiting.put(None)
