"""Which requests may go through a proxy: none to this machine, whatever ``HTTP_PROXY`` and ``NO_PROXY`` say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

_LOOPBACK = ("127.0.0.1", "localhost")


def names_proxy(environment: Mapping[str, str]) -> bool:
    """Return whether an environment names a proxy. If it names none, macOS has those of the system settings."""
    names = {name.lower() for name, value in environment.items() if value}
    return any(name.endswith("_proxy") for name in names - {"no_proxy"})


def loopback_excepted(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``NO_PROXY`` of an environment with this machine added, in both spellings: programs differ."""
    listed = f"{environment.get('NO_PROXY', '')},{environment.get('no_proxy', '')}".split(",")
    hosts = dict.fromkeys(filter(None, map(str.strip, [*_LOOPBACK, *listed])))
    text = "*" if "*" in hosts else ",".join(hosts)  # all hosts, but only where it stands alone
    return {"NO_PROXY": text, "no_proxy": text}


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; None if it names none, or excepts the host."""
    from urllib.request import getproxies, proxy_bypass  # loads much, and every command loads this module

    parts = urlsplit(url)
    if parts.hostname in (*_LOOPBACK, "::1") or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy  # aiohttp wants the scheme, others do without


def opener(proxy: str | None = None) -> OpenerDirector:
    """Return what opens URLs through a proxy, or directly: unlike urllib's own, it asks the environment for nothing."""
    from urllib.request import ProxyHandler, build_opener

    return build_opener(ProxyHandler({"http": proxy, "https": proxy} if proxy else {}))
