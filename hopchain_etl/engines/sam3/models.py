"""SAM3's weights in transformers or in Meta's own package, behind one interface: encode a photo once, then prompt.

Both return raw logits, which ``postprocess`` converts to objects. torch is imported only here, at use.
"""

from __future__ import annotations

import contextlib
import gzip
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.sam3.postprocess import Answer
from hopchain_etl.engines.weights import MissingWeightsError, false_weights_in
from hopchain_etl.settings import Sam3Backend, Sam3Settings

INSTALL = "pip install 'hopchain-etl[gpu]' where this task runs"
ACCESS = (
    "accept the licence on the model's page and set HF_TOKEN, or download it to a folder and name that in "
    "HOPCHAIN_SAM3__MODEL"
)
CONTEXT = 32  # tokens of a prompt
CHECKPOINT, MERGES = "sam3.pt", "merges.txt"  # as Meta's repository of weights names them


class Sam3Model(Protocol):
    """A loaded SAM3."""

    @property
    def side(self) -> int:
        """Side in px of the square that photos are resized to."""
        ...

    def encode(self, square: NDArray[np.float32]) -> Any:
        """Encode a photo, shape (3, side, side), values in [-1, 1]. Raises MemoryError."""
        ...

    def prompt(self, encoded: Any, names: Sequence[str], floor: float) -> list[Answer]:
        """Ask for all instances of each name at once; masks only for scores from ``floor`` on. Raises MemoryError."""
        ...


def load(settings: Sam3Settings) -> Sam3Model:
    """Return the model of the settings on its device.

    Raises MissingWeightsError, which names the remedy, if the package or the weights are missing or gated, and
    EngineDownError if they exist but cannot be loaded.
    """
    with _load_errors(settings):
        device = _device(settings)
        if settings.backend is Sam3Backend.META:
            return MetaSam3(settings, device)
        return TransformersSam3(settings, device)


class TransformersSam3:
    """``Sam3Model`` of transformers."""

    def __init__(self, settings: Sam3Settings, device: str) -> None:
        from transformers import CLIPTokenizer
        from transformers import Sam3Model as Model

        at = {} if Path(settings.model).is_dir() else {"revision": settings.revision}
        self._device = device
        self._precision = _precision(settings, device)
        self._tokenizer = CLIPTokenizer.from_pretrained(settings.model, **at)
        model, facts = Model.from_pretrained(settings.model, output_loading_info=True, **at)
        _check_complete(settings, facts["missing_keys"])
        self._model = model.to(device).eval()
        self._model.geometry_encoder._encode_boxes = _padding_features

    @property
    def side(self) -> int:
        side = self._model.config.vision_config.image_size
        return int(side if isinstance(side, int) else side[0])

    def encode(self, square: NDArray[np.float32]) -> Any:
        import torch

        with _inference(self._device, self._precision):
            return self._model.get_vision_features(torch.from_numpy(square)[None].to(self._device))

    def prompt(self, encoded: Any, names: Sequence[str], floor: float) -> list[Answer]:
        import torch

        count = len(names)
        words = self._tokenizer(
            list(names), padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt"
        ).to(self._device)
        # Every prompt of Meta's model ends with a token of the geometry encoder, boxes or not, and the model was
        # trained with it; transformers omits it unless there is a box. A padding box (label -10) adds only the token.
        boxes = torch.zeros(count, 1, 4, device=self._device)
        labels = torch.full((count, 1), -10, dtype=torch.long, device=self._device)
        with _inference(self._device, self._precision):
            out = self._model(
                vision_embeds=_repeated(encoded, count),
                input_ids=words["input_ids"],
                attention_mask=words["attention_mask"],
                input_boxes=boxes,
                input_boxes_labels=labels,
            )
            return _answers(out.pred_logits, out.presence_logits, out.pred_masks, floor)


class MetaSam3:
    """``Sam3Image`` of Meta's package, which requires CUDA."""

    def __init__(self, settings: Sam3Settings, device: str) -> None:
        import torch
        from sam3.model_builder import build_sam3_image_model

        self._device = device
        self._precision = _precision(settings, device)
        with tempfile.TemporaryDirectory() as folder:
            self._model = build_sam3_image_model(
                bpe_path=str(_vocabulary(settings, Path(folder))),
                device=device.partition(":")[0],
                load_from_HF=False,
            )
        stored = torch.load(_file(settings, CHECKPOINT), map_location="cpu", weights_only=True)
        stored = stored.get("model", stored)
        ours = {key.removeprefix("detector."): stored[key] for key in stored if key.startswith("detector.")}
        missing = set(self._model.load_state_dict(ours, strict=False).missing_keys)
        _check_complete(settings, missing & {name for name, _ in self._model.named_parameters()})
        self._model.to(device)

    @property
    def side(self) -> int:
        patches: int = self._model.transformer.decoder.compilable_stored_size[0]
        patch: int = self._model.backbone.vision_backbone.trunk.patch_embed.proj.kernel_size[0]
        return patches * patch

    def encode(self, square: NDArray[np.float32]) -> Any:
        import torch

        with _inference(self._device, self._precision):
            return self._model.backbone.forward_image(torch.from_numpy(square)[None].to(self._device))

    def prompt(self, encoded: Any, names: Sequence[str], floor: float) -> list[Answer]:
        import torch
        from sam3.model.data_misc import FindStage

        count = len(names)
        none = dict.fromkeys(
            ("input_boxes", "input_boxes_mask", "input_boxes_label", "input_points", "input_points_mask")
        )
        indices = torch.arange(count, device=self._device)
        with _inference(self._device, self._precision):
            out = self._model.forward_grounding(
                backbone_out={**encoded, **self._model.backbone.forward_text(list(names), device=self._device)},
                find_input=FindStage(img_ids=torch.zeros_like(indices), text_ids=indices, **none),
                geometric_prompt=self._model._get_dummy_prompt(count),
                find_target=None,
            )
            return _answers(out["pred_logits"].squeeze(-1), out["presence_logit_dec"], out["pred_masks"], floor)


# --- what both share --------------------------------------------------------------------------------------------------


def _answers(logits: Any, presence: Any, masks: Any, floor: float) -> list[Answer]:
    """Return an answer for each prompt; logits (n, q), presence (n, 1), mask logits (n, q, h, w).

    Only the needed masks are copied from the device: all of them would be a gigabyte for 16 prompts.
    """
    scores, order = (logits.float().sigmoid() * presence.float().reshape(-1, 1).sigmoid()).sort(dim=1, descending=True)
    answers = []
    for index in range(len(scores)):
        chosen = order[index, : int((scores[index] >= floor).sum())]
        answers.append(Answer(scores[index].cpu().numpy(), masks[index, chosen].float().cpu().numpy()))
    return answers


def _padding_features(boxes: Any, mask: Any, labels: Any, features: Any) -> tuple[Any, Any]:
    """Return zero features for padding boxes, which are never used: pooling them is slow or fails in bfloat16."""
    return boxes.new_zeros(*boxes.shape[:2], features.shape[1]), mask


def _repeated(encoded: Any, count: int) -> Any:
    """Return an encoded photo repeated ``count`` times without copying."""
    wide = {
        name: tuple(level.expand(count, *level.shape[1:]) for level in encoded[name])
        for name in ("fpn_hidden_states", "fpn_position_encoding")
    }
    return type(encoded)(**wide)


@contextlib.contextmanager
def _inference(device: str, precision: str) -> Iterator[None]:
    """Compute without gradients, in half precision if configured; convert torch errors to ours."""
    import torch

    mixed = torch.autocast(torch.device(device).type, getattr(torch, precision), enabled=precision != "float32")
    try:
        with torch.inference_mode(), mixed:
            yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise MemoryError(str(error)) from error
    except torch.AcceleratorError as error:  # after this error every later call fails too
        raise EngineDownError(f"the GPU failed: {error}") from error


def _device(settings: Sam3Settings) -> str:
    import torch

    if settings.device != "auto":
        return settings.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _precision(settings: Sam3Settings, device: str) -> str:
    if settings.precision != "auto":
        return settings.precision
    return "bfloat16" if device.startswith("cuda") else "float32"


def _file(settings: Sam3Settings, name: str) -> Path:
    """Return a file of the weights, out of the folder that the settings name or from the hub."""
    if Path(settings.model).is_dir():
        path = Path(settings.model) / name
        if not path.is_file():
            raise MissingWeightsError(f"{settings.model} holds no {name}, which backend 'meta' needs; {ACCESS}")
        return path
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(settings.model, name, revision=settings.revision))


def _check_complete(settings: Sam3Settings, missing: Collection[str]) -> None:
    """Raise MissingWeightsError if weights are missing: both packages would continue with random weights."""
    if missing:
        some = ", ".join(sorted(missing)[:3])
        raise MissingWeightsError(f"{settings.model} lacks {len(missing)} weights of SAM3 ({some} ...); {ACCESS}")


def _vocabulary(settings: Sam3Settings, folder: Path) -> Path:
    """Return the vocabulary as Meta's tokenizer reads it: merges.txt in gzip. The package does not include it."""
    path = folder / f"{MERGES}.gz"
    path.write_bytes(gzip.compress(_file(settings, MERGES).read_bytes().rstrip()))
    return path


@contextlib.contextmanager
def _load_errors(settings: Sam3Settings) -> Iterator[None]:
    """Convert the many package errors to one message that says what is missing and how to get it."""
    try:
        yield
    except EngineDownError:
        raise
    except ImportError as error:
        raise MissingWeightsError(f"SAM3 backend {settings.backend.value!r}: {error}; {INSTALL}") from error
    except Exception as error:
        if false := false_weights_in(settings.model):
            raise MissingWeightsError(f"SAM3 cannot be loaded: {false}") from error
        kinds = {type(link).__name__ for link in _chain(error)}
        if "GatedRepoError" in kinds:
            raise MissingWeightsError(f"{settings.model} is gated and this machine has no access; {ACCESS}") from error
        if isinstance(error, OSError):
            raise MissingWeightsError(f"{settings.model} at {settings.revision!r}: {error}; {ACCESS}") from error
        raise EngineDownError(
            f"SAM3 backend {settings.backend.value!r} does not load {settings.model}: {type(error).__name__}: {error}"
        ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
