"""A SAM3 with random weights, small enough to build in seconds, in the files that facebook/sam3 has.

The same weights are written for transformers (``model.safetensors``) and for Meta's package (``sam3.pt``).
``meta_on_a_cpu`` lets that package, which asks for CUDA and triton, build and run such a model without either.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

MERGES = ("t h", "th e</w>", "i n", "e r</w>", "a n")
SPECIAL = ("<|startoftext|>", "<|endoftext|>")


@dataclass(frozen=True)
class Size:
    """Sizes of the parts. The default is for tests; ``benchmarks/sam3_prompts.py`` has another."""

    side: int = 112  # px
    width: int = 64  # of the image encoder
    depth: int = 2
    heads: int = 2
    hidden: int = 32  # of everything that looks at image and words together
    layers: int = 2
    queries: int = 8
    words: int = 32  # of the text encoder
    window: int = 4
    feedforward: int = 64

    @property
    def grid(self) -> int:
        """Patches a side."""
        return self.side // 14


TINY = Size()


def build(folder: Path, size: Size = TINY, seed: int = 0) -> Path:
    """Write a checkpoint of random weights that SAM3's both packages can load, and return the folder."""
    import torch
    from transformers import Sam3Config, Sam3Model

    folder.mkdir(parents=True, exist_ok=True)
    tokens = _write_tokenizer(folder)
    torch.manual_seed(seed)
    model = Sam3Model(Sam3Config(**_config(size, tokens))).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:  # as initialised, neither picture nor words would change the outcome
                weight.normal_(0, 2.0 if "embed" in name else 1.2 / weight[0].numel() ** 0.5)
        model.mask_decoder.mask_embedder.layers[-1].weight.mul_(0.005)  # logits of the size that a trained model has
        model.detr_decoder.presence_head.layer3.bias.fill_(2.0)  # the named thing is there
    model.save_pretrained(folder)
    torch.save(_as_meta_names(model.state_dict()), folder / "sam3.pt")
    return folder


def _config(size: Size, tokens: int) -> dict[str, Any]:
    both = {"hidden_size": size.hidden, "num_attention_heads": 8, "intermediate_size": size.feedforward}
    return {
        "vision_config": {
            "backbone_config": {
                "hidden_size": size.width,
                "intermediate_size": 2 * size.width,
                "num_hidden_layers": size.depth,
                "num_attention_heads": size.heads,
                "image_size": size.side,
                "pretrain_image_size": size.side // 2,
                "window_size": size.window,
                "global_attn_indexes": [size.depth - 1],
                "layer_norm_eps": 1e-5,
            },
            "fpn_hidden_size": size.hidden,
            "backbone_feature_sizes": [[size.grid * scale] * 2 for scale in (4, 2, 1)],
        },
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": tokens,
            "bos_token_id": tokens - 2,
            "eos_token_id": tokens - 1,
            "pad_token_id": tokens - 1,
            "hidden_size": size.words,
            "intermediate_size": 4 * size.words,
            "projection_dim": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "hidden_act": "gelu",
        },
        "geometry_encoder_config": {**both, "num_layers": 1},
        "detr_encoder_config": {**both, "num_layers": size.layers},
        "detr_decoder_config": {**both, "num_layers": size.layers, "num_queries": size.queries},
        "mask_decoder_config": {"hidden_size": size.hidden, "num_attention_heads": 8},
    }


def _write_tokenizer(folder: Path) -> int:
    """Write CLIP's kind of tokenizer with a handful of merges; return how many tokens it has."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    joined = [merge.replace(" ", "") for merge in MERGES]
    words = [*letters, *(letter + "</w>" for letter in letters), *joined, *SPECIAL]
    vocabulary = {word: index for index, word in enumerate(words)}
    CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge.split()) for merge in MERGES]).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    return len(words)


# --- Meta's package ---------------------------------------------------------------------------------------------------

# From transformers' names to Meta's, one rule after the other.
RENAMED = (
    (r"^vision_encoder\.backbone\.embeddings\.position_embeddings", "backbone.vision_backbone.trunk.pos_embed"),
    (
        r"^vision_encoder\.backbone\.embeddings\.patch_embeddings\.projection",
        "backbone.vision_backbone.trunk.patch_embed.proj",
    ),
    (r"^vision_encoder\.backbone\.layer_norm", "backbone.vision_backbone.trunk.ln_pre"),
    (
        r"^vision_encoder\.backbone\.layers\.(\d+)\.attention\.o_proj",
        r"backbone.vision_backbone.trunk.blocks.\1.attn.proj",
    ),
    (r"^vision_encoder\.backbone\.layers\.(\d+)\.attention", r"backbone.vision_backbone.trunk.blocks.\1.attn"),
    (r"^vision_encoder\.backbone\.layers\.(\d+)\.layer_norm", r"backbone.vision_backbone.trunk.blocks.\1.norm"),
    (r"^vision_encoder\.backbone\.layers\.(\d+)\.mlp", r"backbone.vision_backbone.trunk.blocks.\1.mlp"),
    (r"^vision_encoder\.neck\.fpn_layers\.(\d)\.proj1", r"backbone.vision_backbone.convs.\1.conv_1x1"),
    (r"^vision_encoder\.neck\.fpn_layers\.(\d)\.proj2", r"backbone.vision_backbone.convs.\1.conv_3x3"),
    (r"^vision_encoder\.neck\.fpn_layers\.0\.scale_layers\.0", "backbone.vision_backbone.convs.0.dconv_2x2_0"),
    (r"^vision_encoder\.neck\.fpn_layers\.0\.scale_layers\.2", "backbone.vision_backbone.convs.0.dconv_2x2_1"),
    (r"^vision_encoder\.neck\.fpn_layers\.1\.scale_layers\.0", "backbone.vision_backbone.convs.1.dconv_2x2"),
    (r"^text_projection", "backbone.language_backbone.resizer"),
    (r"^text_encoder\.text_projection\.weight", "backbone.language_backbone.encoder.text_projection"),
    (r"^text_encoder\.text_model\.(embeddings|encoder)?\.?", "backbone.language_backbone.encoder."),
    (r"encoder\.position_embedding\.weight", "encoder.positional_embedding"),
    (r"encoder\.final_layer_norm", "encoder.ln_final"),
    (r"(language_backbone\.encoder)\.layers\.(\d+)\.self_attn", r"\1.transformer.resblocks.\2.attn"),
    (r"(language_backbone\.encoder)\.layers\.(\d+)\.layer_norm", r"\1.transformer.resblocks.\2.ln_"),
    (r"(language_backbone\.encoder)\.layers\.(\d+)\.mlp\.fc1", r"\1.transformer.resblocks.\2.mlp.c_fc"),
    (r"(language_backbone\.encoder)\.layers\.(\d+)\.mlp\.fc2", r"\1.transformer.resblocks.\2.mlp.c_proj"),
    (r"^geometry_encoder\.layers", "geometry_encoder.encode"),
    (r"^geometry_encoder\.vision_layer_norm", "geometry_encoder.img_pre_norm"),
    (r"^geometry_encoder\.prompt_layer_norm", "geometry_encoder.norm"),
    (r"^geometry_encoder\.output_layer_norm", "geometry_encoder.encode_norm"),
    (r"^detr_encoder", "transformer.encoder"),
    (r"^((?:geometry_encoder\.encode|transformer\.encoder\.layers)\.\d+)\.cross_attn", r"\1.cross_attn_image"),
    (r"^((?:geometry_encoder\.encode|transformer\.encoder\.layers)\.\d+)\.layer_norm", r"\1.norm"),
    (r"^detr_decoder", "transformer.decoder"),
    (r"\.presence_head\.", ".presence_token_head."),
    (r"\.presence_layer_norm", ".presence_token_out_norm"),
    (r"\.output_layer_norm", ".norm"),
    (r"\.box_head\.", ".bbox_embed."),
    (r"\.box_rpb_embed_", ".boxRPB_embed_"),
    (r"\.text_cross_attn_layer_norm", ".catext_norm"),
    (r"\.vision_cross_attn_layer_norm", ".norm1"),
    (r"\.self_attn_layer_norm", ".norm2"),
    (r"\.mlp_layer_norm", ".norm3"),
    (r"\.text_cross_attn\.", ".ca_text."),
    (r"\.vision_cross_attn\.", ".cross_attn."),
    (r"^dot_product_scoring\.text_mlp_out_norm", "dot_prod_scoring.prompt_mlp.out_norm"),
    (r"^dot_product_scoring\.text_mlp", "dot_prod_scoring.prompt_mlp"),
    (r"^dot_product_scoring\.text_proj", "dot_prod_scoring.prompt_proj"),
    (r"^dot_product_scoring\.query_proj", "dot_prod_scoring.hs_proj"),
    (r"^mask_decoder\.mask_embedder", "segmentation_head.mask_predictor.mask_embed"),
    (r"^mask_decoder\.instance_projection", "segmentation_head.instance_seg_head"),
    (r"^mask_decoder\.semantic_projection", "segmentation_head.semantic_seg_head"),
    (r"^mask_decoder\.prompt_cross_attn_norm", "segmentation_head.cross_attn_norm"),
    (r"^mask_decoder\.prompt_cross_attn", "segmentation_head.cross_attend_prompt"),
    (r"^mask_decoder", "segmentation_head"),
    (r"(geometry_encoder|transformer|segmentation_head)(\..*)\.o_proj", r"\1\2.out_proj"),
    (r"^((?:geometry_encoder|transformer)\..*)\.mlp\.fc([12])", r"\1.linear\2"),
    (r"\.layer([123])\.", lambda found: f".layers.{int(found[1]) - 1}."),
)


def _as_meta_names(state: dict[str, Any]) -> dict[str, Any]:
    """Return weights of transformers' Sam3Model as Meta's checkpoints name and shape them."""
    import torch

    renamed = {}
    for name, weight in state.items():
        for pattern, word in RENAMED:
            name = re.sub(pattern, word, name)
        renamed[name] = weight
    trunk = "backbone.vision_backbone.trunk.pos_embed"  # Meta's has a class token, which is not used
    renamed[trunk] = torch.cat([torch.zeros_like(renamed[trunk][:, :1]), renamed[trunk]], dim=1)
    words = "backbone.language_backbone.encoder.text_projection"
    renamed[words] = renamed[words].T
    hidden = len(renamed["geometry_encoder.norm.weight"])
    for name, width in (("direct", 2), ("pool", hidden), ("pos_enc", hidden)):  # of points, which are never prompted
        renamed[f"geometry_encoder.points_{name}_project.weight"] = torch.zeros(hidden, width)
        renamed[f"geometry_encoder.points_{name}_project.bias"] = torch.zeros(hidden)
    for name in [name for name in renamed if ".q_proj." in name]:
        parts = [renamed.pop(name.replace(".q_proj.", f".{letter}_proj.")) for letter in "qkv"]
        whole = ".qkv." if ".trunk." in name else ".in_proj_"
        renamed[name.replace(".q_proj.", whole)] = torch.cat(parts)
    return {f"detector.{name}": weight.contiguous() for name, weight in renamed.items()}


@contextlib.contextmanager
def meta_on_a_cpu(size: Size = TINY) -> Iterator[None]:
    """Let Meta's package build models of this size, without a GPU and without triton."""
    with contextlib.ExitStack() as patches:
        for name, module in _triton().items():
            if name not in sys.modules:
                patches.enter_context(mock.patch.dict(sys.modules, {name: module}))
        patches.enter_context(_no_cuda())
        from sam3 import model_builder

        for name, part in _smaller(model_builder, size).items():
            patches.enter_context(mock.patch.object(model_builder, name, part))
        yield


def _triton() -> dict[str, types.ModuleType]:
    """Return a triton whose kernels can be declared, not run: SAM3 needs them for videos and for postprocessing."""

    class Anything(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything(name)

        def __call__(self, *args: Any, **named: Any) -> Any:
            return args[0] if len(args) == 1 and not named else self

    triton = Anything("triton")
    triton.__path__ = []  # type: ignore[attr-defined]
    return {"triton": triton, "triton.language": Anything("triton.language")}


@contextlib.contextmanager
def _no_cuda() -> Iterator[None]:
    """Make tensors that are asked for on CUDA on the CPU, and pin none. No box is ever pooled: there is none."""
    import torch
    import torchvision

    def here(make: Any) -> Any:
        def made(*args: Any, **named: Any) -> Any:
            return make(*args, **{**named, "device": "cpu"} if named.get("device") == "cuda" else named)

        return made

    def none_pooled(features: Any, boxes: Any, size: int) -> Any:
        assert sum(map(len, boxes)) == 0
        return features.new_zeros(0, features.shape[1], size, size)

    with contextlib.ExitStack() as patches:
        for name in ("zeros", "arange"):
            patches.enter_context(mock.patch.object(torch, name, here(getattr(torch, name))))
        patches.enter_context(mock.patch.object(torch.Tensor, "pin_memory", lambda self, *_: self))
        patches.enter_context(mock.patch.object(torchvision.ops, "roi_align", none_pooled))
        yield


def _smaller(builder: types.ModuleType, size: Size) -> dict[str, Any]:
    """Return the classes that Meta's builder puts together, each taking smaller numbers for the ones it is given."""
    import torch

    numbers = {
        "img_size": {1008: size.side},
        "resolution": {1008: size.side},
        "precompute_resolution": {1008: size.side},
        "pretrain_img_size": {336: size.side // 2},
        "embed_dim": {1024: size.width, 256: size.hidden},
        "depth": {32: size.depth},
        "num_heads": {16: size.heads},
        "mlp_ratio": {4.625: 2.0},
        "window_size": {24: size.window},
        "global_att_blocks": {(7, 15, 23, 31): (size.depth - 1,)},
        "num_layers": {6: size.layers, 3: 1},
        "num_queries": {200: size.queries},
        "width": {1024: size.words},
        "heads": {16: 2},
        "layers": {24: 2},
        "dim_feedforward": {2048: size.feedforward},
        "hidden_dim": {2048: size.feedforward, 256: size.hidden},
    }
    for name in ("d_model", "d_proj", "dim", "input_dim", "output_dim", "num_pos_feats"):
        numbers[name] = {256: size.hidden}

    def smaller(part: type) -> Any:
        def made(*args: Any, **named: Any) -> Any:
            if part.__name__ == "VETextEncoder":
                named["vocab_size"] = 512 + len(MERGES) + len(SPECIAL)
            return part(
                *args,
                **{
                    name: numbers.get(name, {}).get(value, value) if isinstance(value, (int, float, tuple)) else value
                    for name, value in named.items()
                },
            )

        return made

    parts = {name: smaller(part) for name, part in vars(builder).items() if isinstance(part, type)}
    return parts | {"nn": types.SimpleNamespace(LayerNorm=lambda _: torch.nn.LayerNorm(size.hidden))}
