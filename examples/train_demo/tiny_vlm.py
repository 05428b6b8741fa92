"""A Qwen3-VL of about one million random parameters and its processor, built without any download.

The tokenizer knows the words of our prompts only, and a cell of a scene becomes one image token, so a prompt with its
picture is about 45 tokens long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

if not torch.backends.cuda.is_built():
    # torchvision's own build is for CUDA and finds no operators beside a CPU build of torch; the names are enough.
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
from transformers.models.qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen3_vl import Qwen3VLVideoProcessor

from examples.train_demo.layout import CELL, SIDE

MERGE = 1
PATCH = CELL // MERGE  # px
WORDS = r"\\boxed\{|[A-Za-z]+|\d+|[^\sA-Za-z\d]"
HIGHEST = 20  # the largest number that has a word of its own
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>")  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}<|im_start|>"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>{% endif %}"
)


def processor(texts: Iterable[str]) -> Any:
    """Return a Qwen3-VL processor whose tokenizer knows the words of ``texts`` and the numbers up to 20."""
    pattern = Regex(WORDS)
    split = pre_tokenizers.Split(pattern, "removed", invert=True)
    said = {word for text in set(texts) for word, _ in split.pre_tokenize_str(text)}
    words = sorted(said | {"\\boxed{", "}"} | set(map(str, range(HIGHEST + 1))))
    known = {word: place for place, word in enumerate((*SPECIAL, "<|unknown|>", *words))}
    backend = Tokenizer(models.WordLevel(known, unk_token="<|unknown|>"))
    backend.pre_tokenizer = split
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="<|unknown|>",
        additional_special_tokens=list(SPECIAL), chat_template=TEMPLATE, padding_side="left",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    for name in ("image_pad", "video_pad", "vision_start", "vision_end"):
        token = f"<|{name}|>"
        setattr(tokenizer, f"{name.removesuffix('_pad')}_token", token)
        setattr(tokenizer, f"{name.removesuffix('_pad')}_token_id", tokenizer.convert_tokens_to_ids(token))
    size = {"shortest_edge": SIDE * SIDE, "longest_edge": SIDE * SIDE}
    shared = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 1, "size": size,
              "image_mean": [0.5] * 3, "image_std": [0.5] * 3}  # fmt: skip
    return Qwen3VLProcessor(
        Qwen2VLImageProcessor(**shared), tokenizer, Qwen3VLVideoProcessor(**shared), chat_template=TEMPLATE
    )


def model(of: Any, seed: int) -> Any:
    """Return a model with random weights of this seed for the vocabulary of a processor."""
    torch.manual_seed(seed)
    ids = {name: of.tokenizer.convert_tokens_to_ids(token) for name, token in (
        ("image_token_id", "<|image_pad|>"), ("video_token_id", "<|video_pad|>"),
        ("vision_start_token_id", "<|vision_start|>"), ("vision_end_token_id", "<|vision_end|>"),
    )}  # fmt: skip
    text = {
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 32, "vocab_size": len(of.tokenizer), "tie_word_embeddings": False,
        "rope_scaling": {"rope_type": "default", "mrope_section": [6, 5, 5], "mrope_interleaved": True},
        "eos_token_id": of.tokenizer.eos_token_id, "pad_token_id": of.tokenizer.pad_token_id,
        "initializer_range": 0.05,
    }  # fmt: skip
    vision = {
        "hidden_size": 128, "intermediate_size": 256, "depth": 2, "num_heads": 4, "patch_size": PATCH,
        "spatial_merge_size": MERGE, "temporal_patch_size": 1, "out_hidden_size": 128,
        "num_position_embeddings": (SIDE // PATCH) ** 2, "deepstack_visual_indexes": [0], "initializer_range": 0.05,
    }  # fmt: skip
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **ids))
