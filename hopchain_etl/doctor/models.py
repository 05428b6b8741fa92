"""``hopchain doctor``: checks model servers, GPUs and weights."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from hopchain_etl.doctor.finding import Finding
from hopchain_etl.engines.base import InvalidOutputError
from hopchain_etl.engines.vlm.call import (
    ChatRequest,
    IncompleteResponseError,
    Message,
    parse_response,
    wire_body,
    wire_messages,
)
from hopchain_etl.engines.vlm.connection import api_key
from hopchain_etl.engines.vlm.images import PromptImage
from hopchain_etl.orchestration import dag_config
from hopchain_etl.settings import Sam3Backend, Sam3Settings, Settings, VlmSettings
from hopchain_etl.stages.resources import RESOURCES

SAM3_MEMORY_MIB = 8_000  # 3.4 GB of weights in float32 plus the memory of a batch of prompts (estimate)
_SECONDS = 30.0
_ANSWER_SECONDS = 180.0


def local_weights() -> Iterator[Finding]:
    from hopchain_etl.engines.local import coco_ssd, u2net
    from hopchain_etl.engines.weights import REMEDY, MissingWeightsError

    for what, weights in (("SSD-MobileNet", coco_ssd.GRAPH), ("U2-Net", u2net.MODEL)):
        try:
            yield Finding(what, "ok", f"{weights.path().name} has the expected checksum")
        except MissingWeightsError as error:
            yield Finding(what, "missing", str(error), REMEDY)
    for package in ("cv2", "onnxruntime", "rapidocr"):
        if not find_spec(package):
            yield Finding(package, "missing", "is not installed", REMEDY)


def endpoint(name: str, model: VlmSettings) -> Iterator[Finding]:
    """Ask a server for its models, and ask the model to describe a picture as JSON."""
    what, url = f"{name} endpoint", str(model.endpoint_url).rstrip("/")
    variable = f"HOPCHAIN_{name.upper()}"
    try:
        key = api_key(model)
    except Exception as error:  # noqa: BLE001 every secrets backend raises different errors
        remedy = f"airflow connections add {model.connection} --conn-type http --conn-password KEY"
        yield Finding(f"connection {model.connection}", "missing", _error_text(error), remedy)
        return
    try:
        listed = json.loads(_fetch(f"{url}/models", key, None, _SECONDS))
        served = {one["id"]: one for one in listed["data"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding(
            what, "missing", f"{url}: {_error_text(error)}", f"start the server, or correct {variable}__ENDPOINT_URL"
        )
        return
    if model.model not in served:
        there = ", ".join(sorted(served)[:5]) or "nothing"
        yield Finding(
            what, "missing", f"{url} serves {there}, not {model.model}", f"set {variable}__MODEL to one of them"
        )
        return
    yield Finding(what, "ok", f"{url} serves {model.model}")
    length = served[model.model].get("max_model_len")
    if length is None:
        yield Finding(f"{name} context", "warning", "the server does not report its maximum prompt length", "")
    elif int(length) < 16_384:
        yield Finding(
            f"{name} context", "warning", f"{length} tokens; photos with thinking need more", "--max-model-len 65536"
        )
    else:
        yield Finding(f"{name} context", "ok", f"{length} tokens")
    yield from _reads_pictures(name, url, model, key)


def _reads_pictures(name: str, url: str, model: VlmSettings, key: str | None) -> Iterator[Finding]:
    """Show the model a red square and ask for a colour in JSON: images and structured output in one question."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), (220, 20, 20)).save(picture, "PNG")
    colours = ["red", "green", "blue"]
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": colours}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    call = ChatRequest(
        (Message("user", (PromptImage(picture.getvalue), "Which colour is the square?")),), 2_048, schema=schema
    )
    messages, tokens = wire_messages(call)
    body = wire_body(call, model.model, messages)
    try:
        answer = parse_response(_fetch(f"{url}/chat/completions", key, body, _ANSWER_SECONDS), tokens, 0.0)
    except (OSError, ValueError, IncompleteResponseError) as error:
        yield Finding(
            f"{name} images", "missing", _error_text(error), "serve a vision-language model, with images allowed"
        )
        return
    yield Finding(f"{name} images", "ok", "a picture was accepted")
    try:
        colour = answer.json()["colour"]
    except (InvalidOutputError, KeyError, TypeError):
        remedy = "turn on structured output (vLLM: --structured-outputs-config with backend guidance)"
        detail = f"the answer was not the requested JSON: {answer.text[:80]!r}"
        yield Finding(f"{name} structured output", "missing", detail, remedy)
        return
    if colour == "red":
        yield Finding(f"{name} structured output", "ok", "valid JSON and the correct colour")
    else:
        yield Finding(
            f"{name} structured output", "warning", f"valid JSON, but a red square was described as {colour!r}", ""
        )


def launch(name: str, model: VlmSettings) -> Iterator[Finding]:
    python = model.launch.python or sys.executable
    check = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
    there = Path(python).is_file() and subprocess.run([python, "-c", check], check=False).returncode == 0
    if there:
        yield Finding(f"{name} server", "ok", f"tasks launch vLLM by {python}")
    else:
        remedy = (
            f"name a server in HOPCHAIN_{name.upper()}__ENDPOINT_URL, or install hopchain-etl[gpu] where this task runs"
        )
        yield Finding(f"{name} server", "missing", f"no endpoint is set and {python} has no vllm", remedy)


def gpus(settings: Settings) -> Iterator[Finding]:
    """Compare the GPUs of this machine with the requirements of the profile's stages."""
    needed = max(dag_config.resources_for(stage, settings).gpus for stage in RESOURCES)
    if settings.sam3.device == "cpu" and needed <= 1:
        yield Finding(
            "GPUs", "warning", "SAM3 is set to the CPU: minutes per photo", "HOPCHAIN_SAM3__DEVICE=auto on a GPU"
        )
        return
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout
        found = [(name, int(memory)) for name, memory in (line.rsplit(", ", 1) for line in listed.splitlines() if line)]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        remedy = "run this on a GPU worker, or install the driver there"
        yield Finding("GPUs", "missing", f"none found here ({_error_text(error)}); {needed} needed", remedy)
        return
    described = ", ".join(f"{name} {memory} MiB" for name, memory in found)
    if len(found) < needed:
        remedy = "use a worker with more GPUs, or reduce HOPCHAIN_VLM__LAUNCH__TENSOR_PARALLEL"
        yield Finding("GPUs", "missing", f"{described}; {needed} needed", remedy)
    elif min(memory for _, memory in found) < SAM3_MEMORY_MIB:
        yield Finding(
            "GPUs", "warning", f"{described}; SAM3 needs about {SAM3_MEMORY_MIB}", "lower HOPCHAIN_SAM3__BATCH"
        )
    else:
        yield Finding("GPUs", "ok", described)


def sam3_weights(sam3: Sam3Settings) -> Iterator[Finding]:
    from hopchain_etl.engines.sam3.models import ACCESS, CHECKPOINT, INSTALL, MERGES

    package = "sam3" if sam3.backend is Sam3Backend.META else "transformers"
    if not find_spec(package) or not find_spec("torch"):
        yield Finding("SAM3 package", "missing", f"{package} and torch are not both installed here", INSTALL)
    wanted = (CHECKPOINT, MERGES) if sam3.backend is Sam3Backend.META else ("config.json", "model.safetensors")
    folder = Path(sam3.model)
    if folder.is_dir():
        missing = [name for name in wanted if not (folder / name).is_file()]
        if missing:
            yield Finding("SAM3 weights", "missing", f"{folder} holds no {', '.join(missing)}", ACCESS)
        else:
            yield Finding("SAM3 weights", "ok", f"in {folder}")
        return
    if find_spec("huggingface_hub"):
        from huggingface_hub import try_to_load_from_cache

        if all(isinstance(try_to_load_from_cache(sam3.model, name, revision=sam3.revision), str) for name in wanted):
            yield Finding("SAM3 weights", "ok", f"{sam3.model} at {sam3.revision} is on this machine")
            return
    yield Finding("SAM3 weights", "missing", f"{sam3.model} at {sam3.revision} is not on this machine", ACCESS)


# --- HTTP -------------------------------------------------------------------------------------------------------------


def _fetch(url: str, key: str | None, body: bytes | None, seconds: float) -> bytes:
    """Return the content of an http(s) URL; raise OSError or ValueError on failure."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("an endpoint begins with http:// or https://")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=seconds) as reply:  # noqa: S310
        content: bytes = reply.read()
    return content


def _error_text(error: Exception) -> str:
    """Return an error message with the server's response body."""
    body = error.read().decode(errors="replace")[:200] if isinstance(error, urllib.error.HTTPError) else ""
    return f"{type(error).__name__}: {error} {body}".strip()
