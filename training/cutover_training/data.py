"""Chats of a JSONL file as batches of tokens; which chat is in which step follows from the seed alone."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from .problems import BadInput

#: A tokenizer may be this much smaller than vocab_size, which models round up.
ROUNDED_UP = 1024


def read_tokenizer(path: Path, vocab: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library throws plain Exception for everything
        raise BadInput(f"tokenizer: {path} is not a `tokenizers` file: {error}") from None
    ids = tokenizer.get_vocab(with_added_tokens=True).values()
    size = max(ids, default=-1) + 1
    if size > vocab or size < vocab - max(ROUNDED_UP, vocab // 20):
        raise BadInput(
            f"tokenizer: {path} has {size} tokens and the model's vocab_size is {vocab}: it belongs to another model"
        )
    return tokenizer


def read_chats(path: Path, tokenizer: Tokenizer, length: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each chat the tokens and which of them are learned: what the assistant says. Cut at `length` + 1 tokens."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"data: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"data: {path} is not UTF-8 at byte {error.start}") from None
    chats = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() == "":
            continue
        chats.append(_encoded(_messages(line, path, number), tokenizer, length))
    learned = [chat for chat in chats if chat[1].any()]
    if not learned:
        raise BadInput(f"data: {path} has no chat in which an assistant says something within {length} tokens")
    return learned


def _messages(line: str, path: Path, number: int) -> list[tuple[str, str]]:
    where = f"data: {path} line {number}"
    try:
        document = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{where} is not JSON: {error}") from None
    return messages_of(document, where)


def messages_of(document: object, where: str) -> list[tuple[str, str]]:
    """Role and text of each message of a chat; throws BadInput that names what is not one."""
    messages = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(messages, list) or not messages:
        got = json.dumps(document)[:80]
        raise BadInput(f'{where}: expected {{"messages":[{{"role":...,"content":...}}]}}, got {got}')
    found = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role not in ("system", "user", "assistant", "tool") or not isinstance(content, str):
            raise BadInput(f"{where}: expected a role and a text as content, got {json.dumps(message)[:80]}")
        found.append((role, content))
    return found


def chat_format(tokenizer: Tokenizer) -> str:
    """By the special tokens that the vocabulary has."""
    if tokenizer.token_to_id("<|im_start|>") is not None:
        return "chatml"
    return "llama3" if tokenizer.token_to_id("<|start_header_id|>") is not None else "plain"


def turn(kind: str, role: str, content: str) -> tuple[str, str]:
    """What comes before the text that is learned, and that text with what ends it."""
    if kind == "chatml":
        return f"<|im_start|>{role}\n", f"{content}<|im_end|>\n"
    if kind == "llama3":
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n", f"{content}<|eot_id|>"
    return f"{role}: ", f"{content}\n"


def _encoded(messages, tokenizer: Tokenizer, length: int) -> tuple[np.ndarray, np.ndarray]:
    tokens: list[int] = []
    learned: list[bool] = []
    kind = chat_format(tokenizer)
    for role, content in messages:
        for text, counts in zip(turn(kind, role, content), (False, role == "assistant"), strict=True):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            tokens += ids
            learned += [counts] * len(ids)
    # The first token is predicted from nothing.
    return np.asarray(tokens[: length + 1], np.int32), np.asarray(learned[1 : length + 1], np.float32)


def batch_of(chats, picked, length: int) -> dict[str, np.ndarray]:
    tokens = np.zeros((len(picked), length + 1), np.int32)
    mask = np.zeros((len(picked), length), np.float32)
    for row, index in enumerate(picked):
        ids, learned = chats[index]
        tokens[row, : len(ids)] = ids
        mask[row, : len(learned)] = learned
    return {"tokens": tokens, "mask": mask}


def picked_for(step: int, count: int, size: int, seed: int) -> list[int]:
    """Which chats step `step` (from 1) takes: each epoch is a permutation of its own."""
    first = (step - 1) * size
    orders: dict[int, np.ndarray] = {}

    def at(place: int) -> int:
        epoch = place // count
        if epoch not in orders:
            orders[epoch] = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
        return int(orders[epoch][place % count])

    return [at(first + offset) for offset in range(size)]
