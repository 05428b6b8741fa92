"""Fixtures for tests against the real engines: a tiny Qwen3-VL, and a real vLLM server that answers for it.

The fixtures of ``tests/conftest.py`` (a real S3 server, buckets) are there as well: pytest.ini loads both as plugins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hopchain_etl.engines.vlm.server import LaunchedServer, launch
from hopchain_etl.settings import LaunchSettings, VlmSettings

# What vLLM needs on a CPU; chunked prefill with a seed on each request brings that engine down under load.
CPU_ARGS = (
    "--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "16384",
    "--max-num-seqs", "16", "--served-model-name", "tiny-qwen3-vl",
)  # fmt: skip
CPU_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


@pytest.fixture(scope="session")
def tiny_qwen3vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Qwen3-VL checkpoint of random weights."""
    from tiny_qwen3vl import build

    return build(tmp_path_factory.mktemp("tiny") / "tiny-qwen3-vl")


@pytest.fixture(scope="session")
def launch_settings(tiny_qwen3vl: Path, tmp_path_factory: pytest.TempPathFactory) -> VlmSettings:
    """Settings with which a task would launch a server for the tiny model on this machine."""
    how = LaunchSettings(
        tensor_parallel=1,
        max_model_len=16_384,
        extra_args=CPU_ARGS,
        ready_seconds=400,
        log_folder=str(tmp_path_factory.mktemp("vllm-logs")),
    )
    return VlmSettings(model=str(tiny_qwen3vl), reasoning_parser=None, launch=how)


@pytest.fixture(scope="session")
def vlm_server(launch_settings: VlmSettings) -> Iterator[LaunchedServer]:
    """A real vLLM server, launched as a task launches it; ``url`` is its base URL."""
    os.environ.update(CPU_ENVIRONMENT)
    server = launch(launch_settings)
    yield server
    server.stop()


@pytest.fixture
def vlm_settings(vlm_server: LaunchedServer) -> VlmSettings:
    """Settings that point at the running server."""
    return VlmSettings(model="tiny-qwen3-vl", endpoint_url=vlm_server.url, concurrency=8, timeout_seconds=300)
