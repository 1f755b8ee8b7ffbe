"""TLS on every listener that other machines reach (DESIGN.md section 8), served by the real daemon."""

import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.daemon.real_box import MILK, RealBox

KEY = "TRASTIENDA_LISTENER_KEY"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certified(box: RealBox, authority: trustme.CA, host: str = "127.0.0.1") -> Path:
    """Give the box a certificate for 127.0.0.1 and its key; returns the certificate's file."""
    certificate = authority.issue_cert("127.0.0.1")
    path = box.directory / "listener.pem"
    path.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    box.secrets[KEY] = certificate.private_key_pem.bytes().decode()
    box.listener = f"{{host: {host}, port: {box.port}, certificate: {path}, key: !credential listener-key}}"
    return path


def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_till_verifies_the_store_it_talks_to(box: RealBox, authority: trustme.CA, host: str) -> None:
    certified(box, authority, host)
    box.stock_milk()
    box.start()
    url, till = f"https://127.0.0.1:{box.port}", {"Authorization": "Bearer till 1"}

    assert httpx.get(f"{url}/v1/lookup/{MILK}", headers=till, verify=trust(authority)).json()["charge_minor"] == 99
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{url}/healthz", verify=trust(trustme.CA()))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{box.port}/healthz")
    status = httpx.get(f"{url}/v1/status", headers={"Authorization": "Bearer monitor"}, verify=trust(authority)).json()
    assert not [issue for issue in status["issues"] if issue["key"].startswith("insecure")]
    assert box.service.stop() == 0


def test_plain_text_on_the_shops_network_is_refused_with_file_and_line(box: RealBox) -> None:
    box.listener = f"{{host: 0.0.0.0, port: {box.port}}}"

    assert box.exit_code() == 2
    assert f"{box.config}:5:17: listeners.tills.host: 0.0.0.0 is reached from other machines" in box.service.log
    assert "insecure_lan: true" in box.service.log
    assert box.files() == {}


def test_plain_text_that_was_asked_for_raises_an_issue(box: RealBox) -> None:
    box.listener = f"{{host: 0.0.0.0, port: {box.port}, insecure_lan: true}}"
    box.start()

    issues = {issue["key"]: issue for issue in box.get("/v1/status", "monitor").json()["issues"]}
    assert "without TLS" in issues[f"insecure-0.0.0.0:{box.port}"]["what"]
    assert box.service.stop() == 0


def locked(pem: str) -> str:
    """The same key behind a password."""
    key = load_pem_private_key(pem.encode(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"swordfish")).decode()


@pytest.mark.parametrize(("spoil", "says"), [
    (lambda box, path: path.unlink(), "cannot be read: No such file or directory"),
    (lambda box, path: path.write_text("no certificate"), "cannot be used"),
    (lambda box, path: box.secrets.update({KEY: "no key"}), "cannot be used"),
    (lambda box, path: box.secrets.update({KEY: trustme.CA().issue_cert("a").private_key_pem.bytes().decode()}),
     "cannot be used: KEY_VALUES_MISMATCH"),
    (lambda box, path: box.secrets.update({KEY: locked(box.secrets[KEY])}), "cannot be used"),
], ids=["absent", "no certificate", "no key", "another's key", "locked key"])
def test_a_certificate_that_cannot_be_used_is_told_and_nothing_is_opened(box: RealBox, authority: trustme.CA,
                                                                         spoil, says: str) -> None:
    path = certified(box, authority)
    spoil(box, path)

    assert box.exit_code() == 2
    assert f"trastienda: certificate {path}" in box.service.log
    assert says in box.service.log
    assert "Traceback" not in box.service.log
    assert "PRIVATE KEY" not in box.service.log
    assert box.files() == {}
