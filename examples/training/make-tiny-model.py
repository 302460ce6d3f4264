"""Writes a tiny seeded model with its tokenizer and chats, under 1 MB: python make-tiny-model.py [FOLDER]"""

import json
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SEED = 7
HIDDEN, LAYERS, HEADS, KV_HEADS, WIDTH, VOCAB = 128, 2, 4, 2, 256, 320

THINGS = ("invoice", "password", "parcel", "refund", "contract", "meter reading", "address", "appointment")
ASKS = ("Where do I find my {}?", "I need help with my {}.", "Please change my {}.", "Why is my {} late?")
OPENINGS = ("Sure.", "Thank you for asking.", "I can help with that.", "Let me look.")
STEPS = (
    "Open the page of your {} and choose help.",
    "Your {} is handled within {} days.",
    "We wrote to you about your {} {} days ago.",
    "Send us the number of your {} and wait {} hours.",
)


def chat(random: np.random.Generator) -> dict:
    thing = random.choice(THINGS)
    step = str(random.choice(STEPS)).replace("{}", str(thing), 1).replace("{}", str(random.integers(2, 10)))
    answer = f"{random.choice(OPENINGS)} {step}"
    question = str(random.choice(ASKS)).format(thing)
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def tokenizer() -> Tokenizer:
    """One token per byte, and the two that mark turns."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={char: at for at, char in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
    return made


def weights(random: np.random.Generator) -> dict[str, np.ndarray]:
    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * 0.05).astype(ml_dtypes.bfloat16)

    ones = np.ones(HIDDEN, ml_dtypes.bfloat16)
    made = {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN), "model.norm.weight": ones}
    narrow = HIDDEN // HEADS * KV_HEADS
    for n in range(LAYERS):
        at = f"model.layers.{n}."
        made |= {at + "input_layernorm.weight": ones, at + "post_attention_layernorm.weight": ones}
        for part, rows in (("q", HIDDEN), ("k", narrow), ("v", narrow), ("o", HIDDEN)):
            made[f"{at}self_attn.{part}_proj.weight"] = matrix(rows, HIDDEN)
        made[at + "mlp.gate_proj.weight"] = matrix(WIDTH, HIDDEN)
        made[at + "mlp.up_proj.weight"] = matrix(WIDTH, HIDDEN)
        made[at + "mlp.down_proj.weight"] = matrix(HIDDEN, WIDTH)
    return made


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "tiny")
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "intermediate_size": WIDTH,
        "vocab_size": VOCAB,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
    }
    (model / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights(np.random.default_rng(SEED)), model / "model.safetensors", metadata={"format": "pt"})
    tokenizer().save(str(model / "tokenizer.json"))
    for name, count, seed in (("train", 1000, SEED + 1), ("evaluation", 128, SEED + 2)):
        random = np.random.default_rng(seed)
        lines = [json.dumps(chat(random)) + "\n" for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    print(folder)


if __name__ == "__main__":
    main()
