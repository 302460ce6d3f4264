"""The process itself: what it repeats bit for bit, and what it says of bad input."""

import json
import os
import shutil
from pathlib import Path

import pytest


def trained(process, job, **facts):
    code, events, stderr = process("train", {**job, **facts})
    assert code == 0, (events[-1:], stderr)
    return events[-1]["checkpoint"]


def curve(checkpoint: dict) -> list[str]:
    return (Path(checkpoint["path"]) / "metrics.jsonl").read_text().splitlines()


@pytest.mark.slow
def test_resuming_gives_the_same_curve_bit_for_bit(process, job, tmp_path):
    whole = trained(process, job(runFolder=str(tmp_path / "whole")), toStep=4)
    parted = job()
    first = trained(process, parted, toStep=2)
    second = trained(process, parted, **{"from": first["path"]}, toStep=4)
    assert curve(first) + curve(second) == curve(whole)
    state = [Path(c["path"]) / "state.safetensors" for c in (second, whole)]
    assert state[0].read_bytes() == state[1].read_bytes()
    # Done again after its word was lost: the same folder.
    assert trained(process, parted, **{"from": first["path"]}, toStep=4) == second


@pytest.mark.slow
def test_half_the_batch_twice_as_often_trains_on_the_same_chats(process, job):
    lines = [
        [json.loads(line) for line in curve(trained(process, job(recipe="bf16", microBatch=m, accumulation=a), toStep=2))]
        for m, a in ((4, 1), (1, 4))
    ]
    assert [line["tokens"] for line in lines[0]] == [line["tokens"] for line in lines[1]]
    assert lines[0][0]["loss"] == pytest.approx(lines[1][0]["loss"], rel=1e-3)


def test_counts_and_magnitudes_of_every_layer_are_written(process, job):
    line = json.loads(curve(trained(process, job(), toStep=1))[0])
    layer = line["layers"]["model.layers.1.mlp.down_proj"]
    assert set(layer) == {"input", "weight", "gradient"} and layer["input"]["amax"] > 0


def test_a_planted_overflow_is_found_and_named(process, job):
    fault = {"linear": "model.layers.1.mlp.down_proj", "step": 3, "factor": 64}
    code, events, _ = process("train", job(fault=fault) | {"toStep": 4})
    assert code == 3
    error = events[-1]
    assert (error["kind"], error["why"], error["step"]) == ("diverged", "saturation", 3)
    assert error["layer"] == "model.layers.1.mlp.down_proj" and error["operand"] == "input"


def test_memory_that_does_not_suffice_is_found_before_the_first_step(process, job):
    code, events, _ = process("train", job(memoryBytes=6_000_000) | {"toStep": 1})
    assert code == 4 and events[-1]["kind"] == "out of memory"
    assert all(event["event"] != "step" for event in events)


def test_a_changed_checkpoint_is_refused(process, job):
    made = trained(process, job(), toStep=1)
    state = Path(made["path"]) / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    code, events, _ = process("train", job(**{"from": made["path"]}, toStep=2))
    assert code == 6 and "expected SHA-256" in events[-1]["message"]
    # The same steps again put it right.
    assert trained(process, job(), toStep=1) == made
    assert trained(process, job(), **{"from": made["path"]}, toStep=2)["step"] == 2


def test_a_checkpoint_of_other_data_is_refused(process, job):
    made = trained(process, job(), toStep=1)
    code, events, _ = process("train", job(seed=2, **{"from": made["path"]}, toStep=2))
    assert code == 2 and "other data" in events[-1]["message"]


@pytest.mark.slow
def test_exports_the_same_digest_each_time(process, job, tmp_path):
    made = trained(process, job(), toStep=1)
    asked = job() | {"from": made["path"], "target": str(tmp_path / "out")}
    code, events, stderr = process("export", asked)
    assert code == 0, stderr
    assert process("export", asked)[1] == events
    assert sorted(os.listdir(tmp_path / "out")) == ["config.json", "model.safetensors", "tokenizer.json", "training.json"]
    code, found, _ = process("check", asked)
    assert code == 2 and f"holds an exported model already ({events[-1]['digest']})" in found[-1]["message"]
    other = trained(process, job(), toStep=2)
    code, events, _ = process("export", asked | {"from": other["path"]})
    assert code == 2 and "something else" in events[-1]["message"]


def copied(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def refused(process, job, changed: dict) -> str:
    code, events, stderr = process("check", job(**changed))
    assert code == 2, (events, stderr)
    assert len(events) == 1 and events[0]["kind"] == "bad input"
    return events[0]["message"]


def test_names_an_architecture_that_it_does_not_know(process, job, tiny, tmp_path):
    folder = copied(tiny, tmp_path)
    (folder / "model/config.json").write_text('{"model_type": "mamba"}')
    said = refused(process, job, {"model": str(folder / "model")})
    assert "mamba" in said and "llama" in said


def test_names_weights_that_are_cut_short(process, job, tiny, tmp_path):
    folder = copied(tiny, tmp_path)
    file = folder / "model/model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    said = refused(process, job, {"model": str(folder / "model")})
    assert "cut short" in said and str(file) in said


def test_names_the_line_of_broken_data(process, job, tiny, tmp_path):
    folder = copied(tiny, tmp_path)
    file = folder / "train.jsonl"
    lines = file.read_text().splitlines()
    lines[16] = lines[16][:-5]
    file.write_text("\n".join(lines))
    assert "line 17 is not JSON" in refused(process, job, {"data": str(file)})
    lines[16] = '{"messages": [{"role": "assistant"}]}'
    file.write_text("\n".join(lines))
    assert "line 17: expected a role" in refused(process, job, {"data": str(file)})


def test_names_a_tokenizer_of_another_vocabulary(process, job, tiny, tmp_path):
    folder = copied(tiny, tmp_path)
    config = json.loads((folder / "model/config.json").read_text())
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model/model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:100].copy()
    save_file(tensors, folder / "model/model.safetensors")
    (folder / "model/config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    said = refused(process, job, {"model": str(folder / "model")})
    assert "258 tokens" in said and "vocab_size is 100" in said


def test_says_that_a_folder_cannot_be_written(process, job, tmp_path):
    (tmp_path / "file").write_text("")
    code, events, _ = process("check", job(runFolder=str(tmp_path / "file")))
    assert code == 5 and "cannot be written" in events[0]["message"]


def test_says_that_the_disk_is_too_small(process, job):
    code, events, _ = process("check", job(checkpoints=10**9))
    assert code == 5 and "the checkpoints need" in events[0]["message"]


def test_says_what_is_wrong_with_a_job(process, job):
    assert "recipe: expected one of" in refused(process, job, {"recipe": "fp4"})
    assert "microBatch: expected int of at least 1, got 0" in refused(process, job, {"microBatch": 0})
