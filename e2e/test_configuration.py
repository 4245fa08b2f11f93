"""The configuration file, variables and flags of the real binary."""

import json
import subprocess

from running import BINARY, Server, clean_environment


def sightline(*words, **variables):
    return subprocess.run(
        [BINARY, *map(str, words)], capture_output=True, text=True, timeout=30,
        env=dict(clean_environment(), **variables),
    )


def test_show_tells_each_value_and_where_it_comes_from(tmp_path):
    file = tmp_path / "any.toml"
    file.write_text("[limits]\nconnections_max = 64\nhead_timeout_ms = 1000\n[server]\nregion = 'eu-west-1'\n")
    shown = sightline(
        "config", "show", "--config", file, "--data-dir", tmp_path / "data", "--region", "eu-west-3",
        SIGHTLINE_LIMITS_HEAD_TIMEOUT_MS="2000",
    )
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert "connections_max = 64  # %s" % file in lines
    assert "head_timeout_ms = 2000  # SIGHTLINE_LIMITS_HEAD_TIMEOUT_MS" in lines
    assert 'region = "eu-west-3"  # --region' in lines
    assert 'data_dir = "%s"  # --data-dir' % (tmp_path / "data") in lines
    assert 'listen = "127.0.0.1:7070"  # default' in lines


def test_check_tells_every_error_at_once_and_serve_refuses_to_start(tmp_path):
    (tmp_path / "sightline.toml").write_text("[limit]\nx = 1\n[server]\nlistn = 'x'\nregion = 7\n")
    for command in ("check", "show"):
        checked = sightline("config", command, "--data-dir", tmp_path)
        assert checked.returncode == 1
        assert "there is no section limit; did you mean limits?" in checked.stderr
        assert "there is no key server.listn; did you mean server.listen?" in checked.stderr
        assert "server.region = 7 is not a region name such as us-east-1" in checked.stderr
    served = sightline("serve", "--data-dir", tmp_path)
    assert served.returncode == 1
    assert "did you mean server.listen?" in served.stderr
    (tmp_path / "sightline.toml").unlink()
    assert sightline("config", "check", "--data-dir", tmp_path).returncode == 0
    missing = sightline("config", "check", "--config", tmp_path / "nowhere.toml")
    assert missing.returncode == 1 and "nowhere.toml" in missing.stderr


def test_a_file_in_the_data_directory_configures_its_server(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "sightline.toml").write_text("[server]\nregion = 'eu-west-2'\n[objects]\ndir = '%s'\n" % (tmp_path / "bytes"))
    server = Server(data).start()
    try:
        assert server.region == "eu-west-2"
        s3 = server.client("s3")
        bucket = "sagemaker-%s-%s" % (server.region, server.account)
        body = b"lies elsewhere" * 10_000
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        files = [file.read_bytes() for file in (tmp_path / "bytes").rglob("*") if file.is_file()]
        assert body in files
    finally:
        server.stop()


def test_the_log_says_each_request_once_with_its_id_and_no_secret(tmp_path):
    server = Server(
        tmp_path / "data", "--set", "log.json=true", "--set", "log.filter=info,sightline::requests=debug"
    ).start()
    try:
        answer = server.client("sts").get_caller_identity()
        id = answer["ResponseMetadata"]["RequestId"]
        secret = server.variables["AWS_SECRET_ACCESS_KEY"]
    finally:
        server.stop()
    said = server.log.read_text()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    mine = [line["fields"] for line in lines if line["fields"].get("id") == id]
    assert len(mine) == 1, mine
    assert mine[0]["operation"] == "GetCallerIdentity" and mine[0]["status"] == 200
    assert mine[0]["bytes"] > 0 and mine[0]["principal"].startswith("arn:aws:sts::")
    assert secret not in said
