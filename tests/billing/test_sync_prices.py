"""`manage.py sync_prices`: fetched prices lie between the built-in and the operator's, all of them or none."""

from __future__ import annotations

import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.management import call_command
from django.core.management.base import CommandError

from audit.models import AuditEntry
from audit.services import SYSTEM
from billing import price_sources
from billing.models import PriceSheet
from billing.pricing import Price
from channels_app import snapshot
from options import versions
from options.services import set_option

pytestmark = pytest.mark.django_db


@contextmanager
def serving(body: bytes, status: int = 200, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server that answers everything with this."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/prices.json"
        finally:
            server.shutdown()
            thread.join()


def prices(**models: Any) -> bytes:
    return json.dumps({"unit": "USD per 1M tokens", "models": models}).encode()


def sync(*arguments: str) -> str:
    out = StringIO()
    call_command("sync_prices", *arguments, stdout=out)
    return out.getvalue()


def price(model: str) -> Price:
    return snapshot.load().prices.price(model, 1, "default")


def ratios(model: str) -> tuple[float, float]:
    found = price(model)
    return float(found.model_ratio), float(found.completion_ratio)


NEW = prices(
    **{"brand-new": {"prompt": 4, "completion": 20, "cached": 0.4}, "gpt-4o": {"prompt": 2.5, "completion": 10}}
)


def test_fetched_prices_win_over_the_built_in_ones() -> None:
    assert price("gpt-4o").model_ratio == 2.5
    assert not price("brand-new").known

    with serving(NEW) as address:
        told = sync(address)

    assert ratios("gpt-4o") == (1.25, 4)
    assert price("brand-new").known
    assert ratios("brand-new") == (2, 5)
    assert str(price("brand-new").parts.cached) == "0.1"
    assert price("gpt-4").model_ratio == 15  # the others stay
    assert "+ brand-new: 2 x 5, cached 0.1\n" in told
    assert "2 prices from" in told


def test_and_the_operators_own_win_over_them() -> None:
    set_option(SYSTEM, "ModelRatio", '{"gpt-4o": 7}')
    set_option(SYSTEM, "CacheRatio", '{"brand-new": 0.3}')
    with serving(NEW) as address:
        sync(address)

    assert price("gpt-4o").model_ratio == 7
    assert str(price("brand-new").parts.cached) == "0.3"


def test_a_new_sheet_takes_the_place_of_the_old_one() -> None:
    with serving(NEW) as address:
        sync(address)
    with serving(prices(**{"brand-new": {"prompt": 8, "completion": 40}})) as address:
        told = sync(address)

    assert PriceSheet.objects.count() == 1
    assert ratios("brand-new") == (4, 5)
    assert price("gpt-4o").model_ratio == 2.5
    assert "~ brand-new: 2 x 5, cached 0.1 -> 4 x 5\n" in told
    assert "- gpt-4o: 1.25 x 4\n" in told
    assert "0 new, 1 changed, 1 gone." in told


def test_every_worker_hears_of_it_and_the_audit_keeps_it() -> None:
    before = versions.read()[versions.ROUTING]
    with serving(NEW) as address:
        sync(address.replace("http://", "http://user:secret@") + "?token=secret")
        entry = AuditEntry.objects.get(action="prices.sync")
        assert entry.target == f"prices:{address}"
        assert entry.detail == {"models": 2, "added": 2, "changed": 0, "removed": 0}
        assert versions.read()[versions.ROUTING] == before + 1
        assert "secret" not in PriceSheet.objects.get().source

        sync(address)
    assert AuditEntry.objects.filter(action="prices.sync").count() == 1  # nothing changed the second time
    assert versions.read()[versions.ROUTING] == before + 1


def test_a_dry_run_shows_and_writes_nothing() -> None:
    with serving(NEW) as address:
        told = sync(address, "--dry-run")
    assert "+ brand-new" in told
    assert "Nothing was written." in told
    assert not PriceSheet.objects.exists()
    assert not AuditEntry.objects.filter(action="prices.sync").exists()


def test_a_file_does_as_well(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_bytes(NEW)
    sync(str(file))
    assert price("brand-new").model_ratio == 2


def test_what_was_fetched_can_be_forgotten() -> None:
    with serving(NEW) as address:
        sync(address)
    sync("--clear")
    assert not price("brand-new").known
    assert not PriceSheet.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (prices(good={"prompt": 1}, bad={"prompt": -1}), 200, "bad: prompt must be between 0"),
        (b"<html>", 200, "not JSON"),
        (NEW, 404, "the answer is 404"),
        (NEW, 302, "the answer is 302"),
    ],
)
def test_nothing_is_written_when_anything_is_wrong(body: bytes, status: int, why: str) -> None:
    with serving(NEW) as address:
        sync(address)
    kept = PriceSheet.objects.get().prices

    with serving(body, status) as address, pytest.raises(CommandError, match=why):
        sync(address)
    assert PriceSheet.objects.get().prices == kept


def test_a_list_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(price_sources, "MOST", 1_000)
    with serving(NEW + b" " * 1_000) as address, pytest.raises(CommandError, match="longer than 1000 bytes"):
        sync(address)
    file = tmp_path / "prices.json"
    file.write_bytes(NEW + b" " * 1_000)
    with pytest.raises(CommandError, match="longer than 1000 bytes"):
        sync(str(file))


@pytest.mark.parametrize("source", ["http://prices.example/list.json", "ftp://prices.example/list.json", "https://["])
def test_prices_are_not_taken_over_an_open_line(source: str) -> None:
    with pytest.raises(CommandError, match="must begin with https://"):
        sync(source)


def test_nor_from_a_server_that_cannot_prove_its_name(tmp_path: Path) -> None:
    with (
        serving(NEW, context=_self_signed(tmp_path)) as address,
        pytest.raises(CommandError, match="cannot be reached"),
    ):
        sync(address)
    assert not PriceSheet.objects.exists()


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        sync("/no/such/prices.json")


@pytest.mark.parametrize("arguments", [(), ("prices.json", "--clear")])
def test_a_source_or_clear(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Give an address or a file, or --clear"):
        sync(*arguments)


def test_a_stored_sheet_nobody_can_read_leaves_the_other_prices_in_force(caplog: pytest.LogCaptureFixture) -> None:
    PriceSheet.objects.create(source="somewhere", synced_at=0, prices='{"gpt-4o": {"model": "-3"}}')
    assert price("gpt-4o").model_ratio == 2.5
    assert "the synced prices are left out" in caplog.text

    with serving(NEW) as address:
        sync(address)
    assert price("gpt-4o").model_ratio == 1.25
