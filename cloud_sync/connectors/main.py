"""The connector process: what `trastienda connect KIND` runs. A composition root; knows every kind of connector."""

import asyncio
import os
import random
import secrets
import signal
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import structlog

from cloud_sync.connectors.errors import Misconfigured
from cloud_sync.connectors.hub import HUB_TIMEOUT_S, Hub
from cloud_sync.connectors.port import Connector, Round
from cloud_sync.connectors.runner import Runner
from cloud_sync.connectors.settings import HubSettings, Rhythm, Secrets

Made = tuple[Connector, HubSettings, Rhythm]
LEASE_PER_TIMEOUT = 3
"""A write outside may take one timeout; the lease is renewed when half of it is left."""


def _vendure(path: Path, credentials: Secrets) -> Made:
    from cloud_sync.connectors.vendure.connector import make_connector

    return make_connector(path, credentials)


KINDS: Mapping[str, Callable[[Path, Secrets], Made]] = {"vendure": _vendure}


def run_connector(kind: str, config: Path, *, once: bool, started: Callable[[], object]) -> Round | None:
    """Until SIGINT or SIGTERM, or for one round, which is returned. `started`: called once the configuration was
    understood. Raises `ConnectorError`."""
    import uvloop

    return uvloop.run(_run(kind, config, once=once, started=started))


async def _run(kind: str, config: Path, *, once: bool, started: Callable[[], object]) -> Round | None:
    credentials = Secrets(os.environ)
    connector, hub_settings, rhythm = KINDS[kind](config, credentials)
    if rhythm.lease_s < LEASE_PER_TIMEOUT * rhythm.timeout_s:
        raise Misconfigured(f"{config}: rhythm.lease_s is less than {LEASE_PER_TIMEOUT} times rhythm.timeout_s: a "
                            "process could still be writing when the next one begins")
    async with _hub_client(hub_settings, credentials) as client:
        hub = Hub(client, hub_settings.connector, f"{os.getpid()}-{secrets.token_hex(8)}", rhythm.lease_s,
                  rhythm.timeout_s)
        runner = Runner(connector, hub, rhythm, random.SystemRandom())
        if once:
            return await runner.once()
        started()
        await _until_told(runner, kind)
    return None


async def _until_told(runner: Runner, kind: str) -> None:
    log = structlog.get_logger("connector")
    loop, running = asyncio.get_running_loop(), asyncio.ensure_future(runner.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    log.info("connector is running", kind=kind, connector=runner.hub.connector)
    try:
        await running
    except asyncio.CancelledError:
        log.info("connector ends", kind=kind)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _hub_client(settings: HubSettings, credentials: Secrets) -> httpx.AsyncClient:
    trust = ssl.create_default_context(cafile=settings.certificate_authority)
    headers = {"Authorization": f"Bearer {credentials.value(settings.token)}"}
    return httpx.AsyncClient(base_url=settings.url.rstrip("/"), headers=headers, timeout=HUB_TIMEOUT_S, verify=trust)
