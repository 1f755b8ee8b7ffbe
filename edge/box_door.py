"""The running daemon of this very box, as its own commands reach it: over the staff listener, as technician."""

import ssl

import httpx

from edge.credentials import Credentials
from edge.doctor import technician_token
from edge.settings import Settings

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a listener's address, not one of ours


def box_door(settings: Settings, credentials: Credentials, timeout_s: float) -> httpx.AsyncClient:
    """A client to be closed by the caller. Its requests raise what httpx raises."""
    listener = settings.listeners.staff
    host = _ANYWHERE.get(listener.host, listener.host)
    verify: ssl.SSLContext | bool = False
    if listener.certificate is not None:
        verify = ssl.create_default_context(cafile=listener.certificate)
        verify.check_hostname = False  # the certificate is this listener's own, whatever name the shop knows it by
    url = f"http{'s' if listener.certificate else ''}://{f'[{host}]' if ':' in host else host}:{listener.port}"
    token = technician_token(credentials.text(settings.database_key))
    return httpx.AsyncClient(base_url=url, verify=verify, timeout=timeout_s, trust_env=False,
                             headers={"Authorization": f"Bearer {token}"})
