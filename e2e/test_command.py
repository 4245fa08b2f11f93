"""The `sightline` command itself: finding the server, its environment, jobs at a glance."""

import json
import os
import re
import subprocess
import sys

from running import BINARY, clean_environment
from work import process, processing_end


def test_env_speaks_to_three_shells(server):
    posix = server.command("env", "--format", "posix").stdout
    fish = server.command("env", "--format", "fish").stdout
    powershell = server.command("env", "--format", "powershell").stdout
    url = server.url
    assert re.search(r"^export AWS_ENDPOINT_URL='?%s'?$" % re.escape(url), posix, re.M), posix
    assert re.search(r"^set -gx AWS_ENDPOINT_URL '?%s'?;?$" % re.escape(url), fish, re.M), fish
    assert re.search(r"^\$env:AWS_ENDPOINT_URL *= *['\"]%s['\"]$" % re.escape(url), powershell, re.M), powershell


def test_a_shell_that_evaluates_env_can_run_a_program(server):
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    script = 'eval "$("$0" env --data-dir "$1")" && "$2" -c "$3"'
    done = subprocess.run(
        ["sh", "-c", script, BINARY, str(server.data_dir), sys.executable, program],
        capture_output=True, text=True, env=clean_environment(), timeout=60,
    )
    assert done.stdout.strip() == server.account, done.stderr


def test_run_gives_the_programs_own_exit_code_and_keeps_the_rest_of_the_environment(server):
    done = server.run("sh", "-c", 'echo "$KEPT"; exit 7', KEPT="as it was")
    assert (done.returncode, done.stdout) == (7, "as it was\n")
    missing = server.run("no-such-program-anywhere")
    assert missing.returncode == 127
    assert "no-such-program-anywhere" in missing.stderr


def test_run_keeps_a_python_path_and_a_sitecustomize_of_the_users_own(server, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('mine ran')")
    (tmp_path / "own_module.py").write_text("VALUE = 42")
    done = server.run(
        sys.executable, "-c", "import own_module; print(own_module.VALUE)", PYTHONPATH=str(tmp_path)
    )
    assert done.stdout.splitlines() == ["mine ran", "42"], done.stderr


def test_without_a_server_the_command_says_how_to_start_one(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for command in (["env", "--data-dir", nowhere], ["run", "--data-dir", nowhere, "--", "true"]):
        done = subprocess.run(
            [BINARY, *command], capture_output=True, text=True, env=clean_environment(), timeout=30
        )
        assert done.returncode != 0
        assert "sightline serve" in done.stderr, done.stderr
        assert not os.path.exists(nowhere)


def test_version_and_keys_are_told(server):
    done = subprocess.run([BINARY, "version"], capture_output=True, text=True, timeout=30)
    version = done.stdout
    assert re.match(r"sightline \d+\.\d+\.\d+", version), version
    keys = server.command("keys").stdout
    assert server.variables["AWS_ACCESS_KEY_ID"] in keys


def test_server_json_names_the_endpoint_for_its_owner_only(server):
    path = server.data_dir / "server.json"
    told = json.loads(path.read_text())
    assert told["endpoint"] == server.url
    assert told["pid"] == server.process.pid
    assert path.stat().st_mode & 0o077 == 0


def test_jobs_are_listed_and_their_logs_shown(server):
    name = process(server, "print('seen on the command line')")
    processing_end(server, name)
    listed = server.command("job", "list").stdout
    assert any(name in line and "Completed" in line for line in listed.splitlines()), listed
    logs = server.command("job", "logs", name).stdout
    assert "seen on the command line" in logs


def test_nothing_in_the_users_environment_leads_a_program_past_the_server(server):
    program = "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    strays = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_PROFILE": "nobody",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    done = server.run(sys.executable, "-c", program, **strays)
    assert "sagemaker-%s-%s" % (server.region, server.account) in done.stdout, done.stderr
