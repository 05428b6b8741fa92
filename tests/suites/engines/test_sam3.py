"""The real SAM3 code of both packages on a tiny model with random weights: they must see the same in a photo."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tiny_sam3
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from hopchain_etl.engines.base import EngineDownError, Photo, SegmentJob
from hopchain_etl.engines.sam3 import models
from hopchain_etl.engines.sam3.engine import Sam3Segmenter
from hopchain_etl.engines.weights import MissingWeightsError
from hopchain_etl.settings import Sam3Settings

NAMES = ("dog", "cat", "the red thing", "über-café 5")
needs_meta = pytest.mark.skipif(importlib.util.find_spec("sam3") is None, reason="Meta's sam3 package is not installed")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam3.build(tmp_path_factory.mktemp("sam3"))


@pytest.fixture(scope="session")
def transformers_model(weights: Path) -> models.Sam3Model:
    return models.load(Sam3Settings(model=str(weights), device="cpu"))


@pytest.fixture
def meta_model(weights: Path) -> Iterator[models.Sam3Model]:
    with tiny_sam3.meta_on_a_cpu():
        yield models.load(Sam3Settings(model=str(weights), device="cpu", backend="meta"))


def square(seed: int) -> NDArray[np.float32]:
    rough = np.random.default_rng(seed).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    smooth = Image.fromarray(rough).resize((tiny_sam3.TINY.side,) * 2, Image.Resampling.BICUBIC)
    return np.ascontiguousarray((np.asarray(smooth, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1))


def photo(seed: int) -> Photo:
    rough = np.random.default_rng(seed).integers(0, 255, (6, 9, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rough).resize((240, 160), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return Photo(f"photo-{seed}", f"sha-{seed}", 240, 160, buffer.getvalue)


def jobs(count: int) -> list[SegmentJob]:
    return [SegmentJob(photo(seed), tuple({"category": name, "found": []} for name in NAMES)) for seed in range(count)]


def settings(weights: Path, **changed: Any) -> Sam3Settings:
    return Sam3Settings(
        **{"model": str(weights), "device": "cpu", "read_text": False, "min_area_share": 0.01, **changed}
    )


def segmented(one: Sam3Settings, model: models.Sam3Model, count: int = 3) -> list[dict[str, Any]]:
    replies = list(Sam3Segmenter(one, lambda _: model).segment(jobs(count)))
    assert [reply.error for reply in replies] == [None] * count
    return [reply.content or {} for reply in replies]


def test_words_and_pictures_both_decide_what_is_seen(transformers_model: models.Sam3Model) -> None:
    model = transformers_model
    first, second = (model.prompt(model.encode(square(seed)), NAMES, 0.0) for seed in (1, 2))
    assert not np.allclose(first[0].scores, first[1].scores, atol=0.01)
    assert not np.allclose(first[0].scores, second[0].scores, atol=0.01)
    assert all((answer.masks > 0).any() and (answer.masks < 0).any() for answer in first)


def test_prompts_answered_together_are_those_answered_alone(transformers_model: models.Sam3Model) -> None:
    model = transformers_model
    seen = model.encode(square(3))
    for name, together in zip(NAMES, model.prompt(seen, NAMES, 0.0), strict=True):
        (alone,) = model.prompt(model.encode(square(3)), [name], 0.0)
        assert np.allclose(together.scores, alone.scores, atol=1e-5)
        assert np.abs(together.masks - alone.masks).max() < 1e-3


def test_only_masks_that_reach_the_threshold_are_handed_over(transformers_model: models.Sam3Model) -> None:
    model = transformers_model
    everything = model.prompt(model.encode(square(4)), NAMES, 0.0)[0]
    floor = float(everything.scores[3])
    some = model.prompt(model.encode(square(4)), NAMES, floor)[0]
    assert (len(everything.masks), len(some.masks), len(some.scores)) == (8, 4, 8)
    assert np.abs(some.masks - everything.masks[:4]).max() < 1e-3
    assert list(everything.scores) == sorted(everything.scores, reverse=True)


@needs_meta
def test_both_packages_give_the_same_logits(transformers_model: models.Sam3Model, meta_model: models.Sam3Model) -> None:
    assert transformers_model.side == meta_model.side == tiny_sam3.TINY.side
    for seed in range(4):
        ours = transformers_model.prompt(transformers_model.encode(square(seed)), NAMES, 0.0)
        theirs = meta_model.prompt(meta_model.encode(square(seed)), NAMES, 0.0)
        for one, other in zip(ours, theirs, strict=True):
            assert np.allclose(one.scores, other.scores, atol=2e-3)
            above, below = (one.masks > 0) & (other.masks > 0), (one.masks > 0) | (other.masks > 0)
            assert above.sum() / below.sum() >= 0.99


@needs_meta
def test_both_packages_end_in_the_same_instances(
    weights: Path, transformers_model: models.Sam3Model, meta_model: models.Sam3Model
) -> None:
    ours = segmented(settings(weights), transformers_model)
    theirs = segmented(settings(weights, backend="meta"), meta_model)
    assert sum(len(content["instances"]) for content in ours) >= 10
    for one, other in zip(ours, theirs, strict=True):
        assert [row["category"] for row in one["instances"]] == [row["category"] for row in other["instances"]]
        assert [row["certain"] for row in one["instances"]] == [row["certain"] for row in other["instances"]]
        for mine, yours in zip(one["instances"], other["instances"], strict=True):
            assert coco.iou([mine["mask"]], [yours["mask"]], [0])[0, 0] >= 0.95
        assert [drop["reason"] for drop in one["dropped"]] == [drop["reason"] for drop in other["dropped"]]


def test_the_same_photo_gives_the_same_rows_however_many_prompts_fit(
    weights: Path, transformers_model: models.Sam3Model
) -> None:
    whole = segmented(settings(weights), transformers_model)
    single = segmented(settings(weights, batch=1), transformers_model)
    for one, other in zip(whole, single, strict=True):
        for mine, yours in zip(one["instances"], other["instances"], strict=True):
            assert coco.iou([mine["mask"]], [yours["mask"]], [0])[0, 0] >= 0.999
    assert json.dumps(segmented(settings(weights), transformers_model)) == json.dumps(whole)


def test_half_precision_sees_nearly_the_same(weights: Path, transformers_model: models.Sam3Model) -> None:
    half = models.load(settings(weights, precision="bfloat16"))
    for seed in range(2):
        full = transformers_model.prompt(transformers_model.encode(square(seed)), NAMES, 0.0)
        for one, other in zip(full, half.prompt(half.encode(square(seed)), NAMES, 0.0), strict=True):
            assert other.scores.dtype == other.masks.dtype == np.float32
            assert np.abs(one.scores - other.scores).max() < 0.1


def test_memory_that_runs_out_on_the_device_halves_the_batch(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = models.load(settings(weights))
    forward, sizes = model._model.forward, []  # type: ignore[attr-defined]

    def cramped(**given: Any) -> Any:
        sizes.append(len(given["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**given)

    monkeypatch.setattr(model._model, "forward", cramped)  # type: ignore[attr-defined]
    assert segmented(settings(weights), model, count=2)
    assert sizes == [4, 2, 2, 2, 2]


def test_a_device_that_fails_ends_the_task(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = models.load(settings(weights))

    def broken(**given: Any) -> Any:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(model._model, "forward", broken)  # type: ignore[attr-defined]
    with pytest.raises(EngineDownError, match="device-side assert"):
        list(Sam3Segmenter(settings(weights), lambda _: model).segment(jobs(1)))


# --- weights that are not there ---------------------------------------------------------------------------------------


def test_a_folder_without_weights_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="HOPCHAIN_SAM3__MODEL"):
        models.load(settings(tmp_path))


def test_half_a_checkpoint_is_refused(weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    part = shutil.copytree(weights, tmp_path / "part")
    state = load_file(part / "model.safetensors")
    save_file({name: state[name] for name in state if "mask_decoder" not in name}, part / "model.safetensors")
    with pytest.raises(MissingWeightsError, match=r"lacks \d+ weights of SAM3 \(mask_decoder"):
        models.load(settings(part))


@needs_meta
def test_meta_needs_its_own_files(weights: Path, tmp_path: Path) -> None:
    import torch

    for name in ("sam3.pt", "merges.txt"):
        part = shutil.copytree(weights, tmp_path / name)
        (part / name).unlink()
        with tiny_sam3.meta_on_a_cpu(), pytest.raises(MissingWeightsError, match=f"holds no {name}"):
            models.load(settings(part, backend="meta"))
    half = shutil.copytree(weights, tmp_path / "half")
    state = torch.load(half / "sam3.pt", weights_only=True)
    torch.save({name: state[name] for name in state if "segmentation_head" not in name}, half / "sam3.pt")
    with tiny_sam3.meta_on_a_cpu(), pytest.raises(MissingWeightsError, match="lacks"):
        models.load(settings(half, backend="meta"))


def test_gated_weights_say_how_to_get_access(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import GatedRepoError
    from transformers import CLIPTokenizer

    def refuse(*_: Any, **__: Any) -> Any:
        try:
            raise GatedRepoError("401 Client Error", response=mock.Mock(headers={}))
        except GatedRepoError as error:
            raise OSError("You are trying to access a gated repo.") from error

    monkeypatch.setattr(CLIPTokenizer, "from_pretrained", refuse)
    with pytest.raises(MissingWeightsError, match=r"facebook/sam3 is gated .* accept the licence .* HF_TOKEN"):
        models.load(Sam3Settings(device="cpu"))


def test_without_a_network_the_hub_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="download it to a folder"):
        models.load(Sam3Settings(device="cpu"))


@needs_meta
def test_meta_without_cuda_is_refused_in_words(weights: Path) -> None:
    with pytest.raises(EngineDownError, match="backend 'meta'"):
        models.load(settings(weights, backend="meta"))
