"""TLS on the one port, as unmodified programs meet it."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request

import pytest

from running import BINARY, Server, until

ROUND_TRIP = """
import boto3, io, json, os, sys
s3 = boto3.client("s3")
how = set()
s3.meta.events.register("before-send.s3.*", lambda request, **_: how.add(request.headers.get("x-amz-content-sha256")))
bucket = next(one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"].startswith("sagemaker-"))
small, large = b"small " * 10, os.urandom(20 << 20)
s3.put_object(Bucket=bucket, Key="small", Body=small)
s3.upload_fileobj(io.BytesIO(large), bucket, "large")
assert s3.get_object(Bucket=bucket, Key="small")["Body"].read() == small
back = io.BytesIO()
s3.download_fileobj(bucket, "large", back)
assert back.getvalue() == large
how = sorted(value.decode() if isinstance(value, bytes) else str(value) for value in how)
print(json.dumps([boto3.client("sts").meta.endpoint_url, how]))
"""


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("secure") / "data", "--set", "tls.required=true").start()
    yield server
    server.stop()


def address(server):
    host, port = server.url.split("://")[1].rsplit(":", 1)
    return host, int(port)


def trusting(server):
    return ssl.create_default_context(cafile=str(server.data_dir / "tls" / "ca.pem"))


def test_boto3_uploads_and_downloads_with_trailing_checksums(secure):
    assert secure.url.startswith("https://")
    done = secure.run(sys.executable, "-c", ROUND_TRIP)
    assert done.returncode == 0, done.stderr
    url, how = json.loads(done.stdout)
    assert url == secure.url
    assert any("STREAMING-UNSIGNED-PAYLOAD-TRAILER" in value for value in how), how


def test_the_record_says_how_the_connection_was_protected(secure):
    trail = secure.client("cloudtrail", verify=secure.variables["AWS_CA_BUNDLE"])
    s3 = secure.client("s3", verify=secure.variables["AWS_CA_BUNDLE"])
    s3.list_buckets()
    event = until("the event", lambda: trail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "ListBuckets"}])["Events"])[0]
    details = json.loads(event["CloudTrailEvent"])["tlsDetails"]
    assert details["tlsVersion"] == "TLSv1.3" and details["cipherSuite"].startswith("TLS_"), details


def test_plain_http_is_refused_where_tls_is_required_and_the_command_still_works(secure):
    with socket.create_connection(address(secure), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = plain.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400") and b"use https" in answer, answer
    assert secure.command("job", "list").returncode == 0


def test_old_versions_and_silent_clients_are_sent_away(tmp_path):
    flags = ["--set", "tls.enabled=true", "--set", "tls.handshake_timeout_ms=300"]
    server = Server(tmp_path / "data", *flags).start()
    try:
        with socket.create_connection(address(server), timeout=10) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(address(server), timeout=10) as torn:
            torn.sendall(b"\x16\x03\x01")
            assert torn.recv(100) == b""
        with socket.create_connection(address(server), timeout=10) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert plain.recv(1000).startswith(b"HTTP/1.1 200")
        url = server.url + "/healthz"
        with urllib.request.urlopen(url, context=trusting(server), timeout=10) as answer:
            assert answer.read() == b"ok\n"
        with pytest.raises(Exception, match="certificate"):
            urllib.request.urlopen(url, context=ssl.create_default_context(), timeout=10)
    finally:
        server.stop()


def serial(server):
    with socket.create_connection(address(server), timeout=10) as raw:
        with trusting(server).wrap_socket(raw, server_hostname="localhost") as secure:
            return secure.getpeercert()["serialNumber"]


def test_a_replaced_certificate_is_used_after_a_hangup_and_a_broken_one_is_not(tmp_path):
    server = Server(tmp_path / "data", "--set", "tls.enabled=true").start()
    try:
        first = serial(server)
        tls = server.data_dir / "tls"
        good = (tls / "server.pem").read_bytes()
        (tls / "server.pem").write_text("torn")
        server.process.send_signal(signal.SIGHUP)
        until("the refusal", lambda: b"stays in force" in server.log.read_bytes(), 20)
        assert serial(server) == first
        (tls / "server.pem").write_bytes(good)
        # Another server on a copy of the authority signs the next certificate.
        other = Server(tmp_path / "other", "--set", "tls.enabled=true", "--set", "tls.names=other.example")
        (tmp_path / "other" / "tls").mkdir(parents=True)
        for name in ("ca.pem", "ca.key"):
            (tmp_path / "other" / "tls" / name).write_bytes((tls / name).read_bytes())
        other.start().stop()
        for name in ("server.key", "server.pem"):
            (tls / name).write_bytes((tmp_path / "other" / "tls" / name).read_bytes())
        server.process.send_signal(signal.SIGHUP)
        until("the new certificate", lambda: serial(server) != first, 20)
    finally:
        server.stop()


def test_a_certificate_of_ones_own_is_served_or_refused_by_name(tmp_path):
    refused = subprocess.run(
        [BINARY, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "d"),
         "--set", "tls.enabled=true", "--set", "tls.certificate_file=/nowhere.pem"],
        capture_output=True, text=True, timeout=30,
    )
    assert refused.returncode == 1
    assert "tls.certificate_file and tls.key_file must be given together" in refused.stderr
