"""``hopchain doctor``: checks model servers, GPUs and weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from hopchain_etl.airflow_connections import UnreadableConnectionError
from hopchain_etl.doctor import answers
from hopchain_etl.doctor.fetch import RefusedError, error_text, fetch
from hopchain_etl.doctor.finding import Finding
from hopchain_etl.engines.catalog import CatalogError, EngineEntry, load
from hopchain_etl.engines.vlm.connection import api_key
from hopchain_etl.engines.vlm.endpoint import address, proxy, shown
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.orchestration import dag_config
from hopchain_etl.pipeline.launches import launch_costs, recorded_launches
from hopchain_etl.settings import AskSettings, Sam3Backend, Sam3Settings, Settings, VlmSettings
from hopchain_etl.settings.context import too_short
from hopchain_etl.stages.resources import RESOURCES

SAM3_MEMORY_MIB = 8_000  # 3.4 GB of weights in float32 plus the memory of a batch of prompts (estimate)
_SECONDS = 30.0
_NO_LIST = {404, 405}  # Azure's deployments and some gateways have no list of models


def local_weights() -> Iterator[Finding]:
    from hopchain_etl.engines.local import coco_ssd, u2net

    yield _weights("SSD-MobileNet", coco_ssd.GRAPH.path)
    yield _weights("U2-Net", u2net.MODEL.path)
    yield ocr_weights()
    yield from filter(None, map(_unloadable, ("cv2", "onnxruntime")))


def ocr_weights() -> Finding:
    """Look for the models that read text, for the local engines and for SAM3."""
    from hopchain_etl.engines.vision.ocr import check_models

    return _weights("OCR", check_models)


def _unloadable(package: str) -> Finding | None:
    """Return why a package cannot be loaded; None if it can."""
    from hopchain_etl.engines.weights import broken_package

    try:
        import_module(package)
    except ImportError as error:
        detail, _, remedy = str(broken_package(error)).rpartition("; ")
        return Finding(package, "missing", detail, remedy)
    return None


def _weights(what: str, check: Callable[[], object]) -> Finding:
    """Return what a check of weights says, which raises MissingWeightsError with the remedy."""
    from hopchain_etl.engines.weights import MissingWeightsError

    try:
        check()
    except MissingWeightsError as error:
        detail, _, remedy = str(error).rpartition("; ")
        return Finding(what, "missing", detail, remedy)
    return Finding(what, "ok", "the weights have the expected checksum")


def endpoint(name: str, model: VlmSettings, ask: AskSettings) -> Iterator[Finding]:
    """Ask a server for its models, and the model two short questions; see ``answers``."""
    what, url = f"{name} endpoint", str(model.endpoint_url)
    place = shown(url)
    variable = f"HOPCHAIN_{name.upper()}"
    try:
        key = api_key(model)
    except UnreadableConnectionError:
        yield Finding(
            what, "missing", "not asked, because its key cannot be read", f"see connection {model.connection}"
        )
        return
    try:
        listed = json.loads(fetch(address(url, "models"), key, None, _SECONDS, proxy(model)))
        served = {one["id"]: one for one in listed["data"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = f"correct {variable}__ENDPOINT_URL"
        if not (isinstance(error, RefusedError) and error.status in _NO_LIST):
            yield Finding(what, "missing", f"{place}: {error_text(error)}", f"start the server, or {remedy}")
            return
        detail = f"{place} lists no models: {error_text(error)}"
        yield Finding(what, "warning", detail, f"if what follows is missing too, {remedy}")
    else:
        if model.model not in served:
            there = ", ".join(sorted(served)[:5]) or "nothing"
            yield Finding(
                what, "missing", f"{place} serves {there}, not {model.model}", f"set {variable}__MODEL to one of them"
            )
            return
        yield Finding(what, "ok", f"{place} serves {model.model}")
        yield _context(name, served[model.model].get("max_model_len"), model, ask)
    server = answers.ModelServer(name, url, model, ask, key)
    yield from answers.thinking(server)
    yield from answers.pictures(server)


def _context(name: str, length: int | None, model: VlmSettings, ask: AskSettings) -> Finding:
    """Compare the context that a server reports, in tokens, with the longest request."""
    if length is None:
        return Finding(f"{name} context", "warning", "the server does not report its maximum prompt length", "")
    if problem := too_short(name, int(length), model, ask):
        remedy = "serve with a larger --max-model-len, or lower HOPCHAIN_ASK__MAX_TOKENS"
        return Finding(f"{name} context", "missing", problem, remedy)
    return Finding(f"{name} context", "ok", f"{length} tokens")


def launch(name: str, model: VlmSettings) -> Iterator[Finding]:
    """Look for vLLM and the model's folder here. What it answers is not checked: only a task launches it."""
    from hopchain_etl.engines.weights import false_weights_in

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
    if false := false_weights_in(model.model):
        yield Finding(f"{name} weights", "missing", *false.rsplit("; ", 1))
    yield unasked(name, model)


def unasked(name: str, model: VlmSettings) -> Finding:
    """Say that a model without an endpoint was asked nothing."""
    served = (
        f"with --reasoning-parser {model.reasoning_parser}" if model.reasoning_parser else "as one that does not think"
    )
    variable = f"HOPCHAIN_{name.upper()}"
    who = "Ray serves" if model.ray else "tasks serve"
    return Finding(
        f"{name} thinking", "warning", f"not checked: no endpoint is set; {who} {model.model} {served}",
        f"compare {variable}__REASONING_PARSER with the model's card, or serve it and set {variable}__ENDPOINT_URL",
    )  # fmt: skip


def launch_cost(name: str, settings: Settings) -> Finding:
    """Return what launching a model costs in a run: from what builds recorded in the lake, else assumed."""
    try:
        recorded = recorded_launches(Lake(settings.lake))
    except (StoreError, UnreadableConnectionError):  # a finding of its own says so
        recorded = []
    costs = [cost for cost in launch_costs(settings, recorded) if cost.model == name]
    one, most = costs[0], sum(cost.most for cost in costs)
    stages = ", ".join(cost.stage for cost in costs)
    detail = (
        f"{one.seconds:,.0f} s on {one.gpus} GPUs, {one.gpu_seconds:,.0f} GPU seconds ({one.basis}); up to {most} a "
        f"run, {one.most} in each of {stages}: {most * one.gpu_seconds:,.0f} GPU seconds"
    )
    server = f"HOPCHAIN_{name.upper()}__ENDPOINT_URL"
    remedy = f"compare with the work by `hopchain estimate`; a server in {server} loads once"
    return Finding(f"{name} launch", "ok", detail, remedy)


def gpus(settings: Settings) -> Iterator[Finding]:
    """Compare the GPUs of this machine with the requirements of the stages; nothing to say if no stage needs any."""
    needed = max(dag_config.resources_for(stage, settings).gpus for stage in RESOURCES)
    uses_sam3 = any(entry.weights == "sam3" for entry in settings.engines.roles.of())
    if not needed:
        return
    if uses_sam3 and settings.sam3.device == "cpu" and needed <= 1:
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
        yield Finding("GPUs", "missing", f"none found here ({error_text(error)}); {needed} needed", remedy)
        return
    described = ", ".join(f"{name} {memory} MiB" for name, memory in found)
    if len(found) < needed:
        remedy = "use a worker with more GPUs, or reduce HOPCHAIN_VLM__LAUNCH__TENSOR_PARALLEL"
        yield Finding("GPUs", "missing", f"{described}; {needed} needed", remedy)
    elif uses_sam3 and min(memory for _, memory in found) < SAM3_MEMORY_MIB:
        yield Finding(
            "GPUs", "warning", f"{described}; SAM3 needs about {SAM3_MEMORY_MIB}", "lower HOPCHAIN_SAM3__BATCH"
        )
    else:
        yield Finding("GPUs", "ok", described)


def other_package(entry: EngineEntry) -> Finding:
    """Load the class of an engine that another package brings."""
    what = f"{entry.role} {entry.name}"
    try:
        load(entry)
    except CatalogError as error:
        detail, _, remedy = str(error).rpartition("; ")
        return Finding(what, "missing", detail, remedy)
    return Finding(what, "ok", f"{entry.path} of the package {entry.package} can be loaded")


def sam3_weights(sam3: Sam3Settings) -> Iterator[Finding]:
    from hopchain_etl.engines.sam3.models import ACCESS, CHECKPOINT, INSTALL, MERGES
    from hopchain_etl.engines.weights import false_weights

    package = "sam3" if sam3.backend is Sam3Backend.META else "transformers"
    if not find_spec(package) or not find_spec("torch"):
        yield Finding("SAM3 package", "missing", f"{package} and torch are not both installed here", INSTALL)
    wanted = (CHECKPOINT, MERGES) if sam3.backend is Sam3Backend.META else ("config.json", "model.safetensors")
    folder = Path(sam3.model)
    if folder.is_dir():
        missing = [name for name in wanted if not (folder / name).is_file()]
        if missing:
            yield Finding("SAM3 weights", "missing", f"{folder} holds no {', '.join(missing)}", ACCESS)
        elif false := next(filter(None, (false_weights(folder / name) for name in wanted)), None):
            yield Finding("SAM3 weights", "missing", *false.rsplit("; ", 1))
        else:
            yield Finding("SAM3 weights", "ok", f"in {folder}")
        return
    if find_spec("huggingface_hub"):
        from huggingface_hub import try_to_load_from_cache

        if all(isinstance(try_to_load_from_cache(sam3.model, name, revision=sam3.revision), str) for name in wanted):
            yield Finding("SAM3 weights", "ok", f"{sam3.model} at {sam3.revision} is on this machine")
            return
    yield Finding("SAM3 weights", "missing", f"{sam3.model} at {sam3.revision} is not on this machine", ACCESS)
