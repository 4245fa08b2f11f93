"""`sightline doctor` on hosts that are well and on such that are not."""

import contextlib
import json
import socket
import sqlite3
import subprocess

from running import BINARY, clean_environment


def doctor(*words):
    done = subprocess.run(
        [BINARY, "doctor", "--json", *map(str, words)],
        capture_output=True, text=True, env=clean_environment(), timeout=60,
    )
    assert done.stdout, done.stderr
    return done.returncode, {line["subject"]: line for line in json.loads(done.stdout)}


def test_a_running_server_is_well(own_server):
    host, port = own_server.url.split("//")[1].rsplit(":", 1)
    code, found = doctor("--data-dir", own_server.data_dir, "--listen", "%s:%s" % (host, port))
    assert code == (1 if found["isolation"]["verdict"] == "fail" else 0), found
    for subject in ("data directory", "secret files", "database", "port", "clock", "python", "disk space"):
        assert found[subject]["verdict"] == "ok", found[subject]
    assert "this data directory's server" in found["port"]["text"]


def test_what_is_wrong_is_named_with_what_to_do(own_server, tmp_path):
    data = own_server.data_dir
    own_server.stop()
    (data / "credentials").chmod(0o644)
    data.chmod(0o755)
    # What is still in the log would stand in for a damaged page, and one page may be a free one.
    with contextlib.closing(sqlite3.connect(data / "meta.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    text = (data / "meta.sqlite").read_bytes()
    assert len(text) > 8192
    (data / "meta.sqlite").write_bytes(text[:4096] + b"\xff" * (len(text) - 4096))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = "127.0.0.1:%d" % taken.getsockname()[1]
        code, found = doctor(
            "--data-dir", data, "--listen", listen, "--set", "server.free_disk_bytes=9000000000000000000",
            "--set", "limits.connections_max=100000", "--python", tmp_path / "no-python",
        )
    assert code == 1
    for subject, said in {
        "secret files": "chmod 600", "data directory": "chmod 700", "database": "restore a backup",
        "port": "--listen", "disk space": "server.free_disk_bytes", "python": "environments.pythons",
    }.items():
        assert found[subject]["verdict"] == "fail", found[subject]
        assert said in found[subject]["text"], found[subject]
    (data / "sightline.toml").write_text("[limits]\nx = 1\n")
    broken = subprocess.run(
        [BINARY, "doctor", "--data-dir", str(data)], capture_output=True, text=True, timeout=30,
    )
    assert broken.returncode == 1 and "there is no key limits.x" in broken.stderr
