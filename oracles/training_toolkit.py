"""Records what the real SageMaker training toolkit makes of jobs described by fixtures.

    pip install sagemaker-training==5.1.4        # compiles a small extension: needs a C compiler
    python oracles/training_toolkit.py           # rewrites oracles/training_toolkit.json

Each fixture is a whole job: the three configuration files, the source files and the image's
environment. The toolkit runs it in a directory of its own (`SAGEMAKER_BASE_DIR`) as the
scikit-learn image would, and what the user's script saw and what was left behind is recorded.
Paths are written as `/opt/ml`, the interpreter as `{python}` and the number of processors as
`{cpus}`, so that the file says the same on every machine.
"""
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile

TOOLKIT = "5.1.4"
FRAMEWORK = "sagemaker_sklearn_container.training:main"

# Like the module of the same name in the scikit-learn image: it runs the entry point as a process.
FRAMEWORK_SOURCE = """
from sagemaker_training import entry_point, environment, runner


def main():
    job = environment.Environment()
    entry_point.run(job.module_dir, job.user_entry_point, job.to_cmd_args(), job.to_env_vars(),
                    runner_type=runner.ProcessRunnerType)
"""

RECORD = """
import json, os, sys
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json"), "w") as out:
    json.dump({"argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ)}, out)
"""

ONE_HOST = {
    "current_host": "algo-1", "current_instance_type": "ml.m5.xlarge",
    "current_group_name": "homogeneousCluster", "hosts": ["algo-1"],
    "instance_groups": [{"instance_group_name": "homogeneousCluster",
                         "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]}],
    "network_interface_name": "eth0",
}
TWO_HOSTS = {
    "current_host": "algo-2", "current_instance_type": "ml.c5.large",
    "current_group_name": "workers", "hosts": ["algo-1", "algo-2"],
    "instance_groups": [
        {"instance_group_name": "head", "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]},
        {"instance_group_name": "workers", "instance_type": "ml.c5.large", "hosts": ["algo-2"]},
    ],
    "network_interface_name": "eth0",
    "topology": [{"hostName": "algo-1", "capacityUnitId": "a"}],
}
CHANNEL = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}


def sdk(program="train.py", **user):
    """Hyperparameters as the SDK sends them: every value JSON-encoded."""
    every = {
        "sagemaker_submit_directory": "s3://bucket/job/source/sourcedir.tar.gz",
        "sagemaker_program": program, "sagemaker_container_log_level": 20,
        "sagemaker_job_name": "job", "sagemaker_region": "us-east-1",
    }
    every.update({name.replace("__", "-"): value for name, value in user.items()})
    return {name: json.dumps(value) for name, value in every.items()}


def job(name, hyperparameters, source, resources=ONE_HOST, channels=("train",), environment=None, archive=None):
    """One fixture. `archive` lists tar members `[name, kind, text or link]` in place of `source`."""
    image = {"SAGEMAKER_TRAINING_MODULE": FRAMEWORK, "TRAINING_JOB_NAME": "job", "AWS_REGION": "us-east-1"}
    image.update(environment or {})
    return {
        "name": name, "hyperparameters": hyperparameters, "resource_config": resources,
        "input_data_config": {channel: dict(CHANNEL) for channel in channels},
        "environment": image, "source": source, "archive": archive,
    }


def fixtures():
    kinds = sdk(
        whole=7, large=12345678901234567890, real=0.5, small=1e-05, yes=True, no=False, nothing=None,
        empty="", text="two words", number_text="5", quote="it's \"so\" $HOME `x`;", unicode="déjà vu 数据 🙂",
        sequence=[1, "a", None, 2.5], mapping={"b": 1, "a": [1, 2]}, nested={"x": {"y": 1}}, long="x" * 10240,
        dotted__name=1, UPPER=2, z=9, sagemaker_custom="kept", _tuning_objective_metric="loss",
        default_user_module_name="m",
    )
    kinds["raw"] = "not json"
    kinds["a key"] = "1"
    kinds["with.dot"] = "1"
    accepts_long = ("import argparse\nparser = argparse.ArgumentParser()\n"
                    "parser.add_argument('--C', type=float)\nparser.add_argument('--max-iter', type=int)\n"
                    "parser.parse_args()\n") + RECORD
    accepts_short = accepts_long.replace("'--C'", "'-C', '--C'")
    plain = {"train.py": RECORD}
    yield job("as the SDK sends it", sdk(n__estimators=100, rate=0.1), plain)
    yield job("every kind of value", kinds, plain)
    yield job("no hyperparameters of the user", sdk(), plain)
    yield job("several channels", sdk(), plain, channels=("train", "test", "eval-2", "Mixed.Case"))
    yield job("no channels", sdk(), plain, channels=())
    yield job("two hosts in two groups", sdk(), plain, resources=TWO_HOSTS)
    yield job("the short resource file", sdk(), plain, resources={"current_host": "algo-1", "hosts": ["algo-1"]})
    yield job("distribution asked for", sdk(sagemaker_parameter_server_enabled=True), plain)
    yield job("distribution by groups", sdk(sagemaker_distribution_instance_groups=["head"]), plain,
              resources=TWO_HOSTS)
    yield job("a one-letter name for a script with the long form only", sdk(C=0.01, max__iter=900),
              {"train.py": accepts_long})
    yield job("a one-letter name for a script with both forms", sdk(C=0.01, max__iter=900),
              {"train.py": accepts_short})
    yield job("program named by the environment", sdk(), {"other.py": RECORD, "train.py": "raise SystemExit(9)"},
              environment={"SAGEMAKER_PROGRAM": "other.py"})
    yield job("no framework module and no job name", sdk(), plain,
              environment={"SAGEMAKER_TRAINING_MODULE": None, "TRAINING_JOB_NAME": None})
    yield job("a program in a folder", sdk("sub/train.py"), {"sub/train.py": RECORD})
    yield job("a shell program", sdk("train.sh", rate=0.1, text="it's two"),
              {"train.sh": '#!/bin/sh\nexec "$TEST_PYTHON" record.py "$@"\n', "record.py": RECORD})
    yield job("a program without an ending", sdk("run"),
              {"run": '#!/bin/sh\nexec "$TEST_PYTHON" record.py "$@"\n', "record.py": RECORD})
    yield job("a package", sdk("fixture_package.py", rate=0.1), {
        "setup.py": "from setuptools import setup\nsetup(name='fixture-package', version='1', "
                    "py_modules=['fixture_package'])\n",
        "fixture_package.py": RECORD})
    yield job("exit 3", sdk(rate=0.1), {"train.py": RECORD + "sys.exit(3)\n"})
    yield job("an exception", sdk(), {"train.py": RECORD + "raise ValueError('wrong shape')\n"})
    yield job("exit 137", sdk(), {"train.py": RECORD + "sys.exit(137)\n"})
    yield job("killed", sdk(), {"train.py": RECORD + "os.kill(os.getpid(), 9)\n"})
    yield job("a child of the shell program is killed", sdk("train.sh"), {"train.sh": "#!/bin/sh\nsh -c 'kill -9 $$'\nexit $?\n"})
    yield job("its own failure file", sdk(),
              {"train.py": RECORD + "open(os.path.join(os.environ['SM_OUTPUT_DIR'], 'failure'), 'w')"
                                    ".write('mine')\nsys.exit(1)\n"})
    yield job("the program is missing", sdk("absent.py"), plain)
    yield job("the shell program is missing", sdk("absent.sh"), plain)
    yield job("no program is named", {"rate": "1"}, plain)
    for bad in ("../train.py", "-train.py", "/train.py", "a b.py", "a//b.py", "./train.py", "a;b.sh"):
        yield job("the program %r" % bad, sdk(bad), plain)
    yield job("a hyperparameter no environment can hold", sdk(**{"a=b": 1}), plain)
    yield job("hyperparameters are missing", None, plain)
    yield job("an archive of all sorts", sdk(), None, archive=[
        ["train.py", "file", RECORD], ["./dotted.py", "file", "a"], ["/absolute.py", "file", "b"],
        ["../../up.py", "file", "c"], ["deep/er/file.txt", "file", "d"], ["folder", "directory", ""],
        ["pipe", "fifo", ""], ["device", "character device", ""], ["script.sh", "program", "#!/bin/sh\n"],
        ["link.py", "symlink", "train.py"], ["out.py", "symlink", "../../../etc/passwd"],
        ["deep/in.py", "symlink", "../train.py"], ["hard.py", "hard link", "train.py"],
        ["hard-out.py", "hard link", "../../etc/passwd"],
    ])


TAR_KINDS = {
    "directory": tarfile.DIRTYPE, "fifo": tarfile.FIFOTYPE, "character device": tarfile.CHRTYPE,
    "symlink": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE,
}


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o755 if kind in ("program", "directory") else 0o644
            member.type = TAR_KINDS.get(kind, tarfile.REGTYPE)
            body = text.encode() if kind in ("file", "program") else b""
            member.size = len(body)
            member.linkname = text if kind.endswith("link") else ""
            tar.addfile(member, io.BytesIO(body))


def stage(root, fixture):
    """Lays the job out under `root`, as the platform does before it starts the image."""
    for folder in ("input/config", "input/data", "output/data", "model", "code"):
        os.makedirs(os.path.join(root, folder))
    hyperparameters = fixture["hyperparameters"]
    if fixture["archive"]:
        archive = os.path.join(root, "sourcedir.tar.gz")
        write_archive(archive, fixture["archive"])
        # The toolkit would fetch an s3:// archive itself; a local one takes the same road from there.
        hyperparameters = dict(hyperparameters, sagemaker_submit_directory=json.dumps(archive))
    else:
        for name, text in fixture["source"].items():
            path = os.path.join(root, "code", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
    files = {"hyperparameters": hyperparameters, "resourceconfig": fixture["resource_config"],
             "inputdataconfig": fixture["input_data_config"]}
    for name, content in files.items():
        if content is not None:
            with open(os.path.join(root, "input", "config", name + ".json"), "w", encoding="utf-8") as out:
                json.dump(content, out)


def tree(code):
    """Every file under the code directory: its text, or where it links to."""
    found = {}
    for folder, folders, files in os.walk(code):
        for name in files + [d for d in folders if os.path.islink(os.path.join(folder, d))]:
            path = os.path.join(folder, name)
            at = os.path.relpath(path, code)
            if os.path.islink(path):
                found[at] = "-> " + os.readlink(path)
            elif not at.startswith(("build/", "fixture_package.egg-info/")) and "__pycache__" not in at:
                with open(path, encoding="utf-8") as text:
                    found[at] = ("x " if os.access(path, os.X_OK) else "") + text.read()
    return found


def outcome(root, code):
    """What the job left behind, in the form the tests compare."""
    seen = None
    path = os.path.join(root, "output", "data", "seen.json")
    if os.path.exists(path):
        with open(path) as out:
            raw = json.load(out)
        variables = {k: v for k, v in raw["env"].items() if k.startswith("SM_") and k != "SM_STUDIO_LOCAL_MODE"}
        whole = json.loads(variables.pop("SM_TRAINING_ENV"))
        assert raw["env"]["SM_TRAINING_ENV"] == json.dumps(whole, sort_keys=True, separators=(",", ":"))
        assert variables["SM_NUM_CPUS"] == str(whole["num_cpus"]) == str(os.cpu_count())
        variables["SM_NUM_CPUS"] = whole["num_cpus"] = "{cpus}"
        also = ("CURRENT_HOST", "SAGEMAKER_JOB_NAME", "SAGEMAKER_REGION")
        seen = {"argv": raw["argv"], "cwd": raw["cwd"], "sm": variables, "training_env": whole,
                "also": {name: raw["env"].get(name) for name in also},
                "python_path_first": raw["env"]["PYTHONPATH"].split(":")[0]}
    failure = None
    path = os.path.join(root, "output", "failure")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as out:
            failure = out.read()
        if failure.startswith("Framework Error"):
            failure = "Framework Error: " + failure.splitlines()[-1]  # the traceback is the toolkit's own
        elif not failure.startswith("ExecuteUserScriptError"):
            failure = failure.split(" because ")[0].split(". ")[0]  # what follows is advice
    return {"exit": code, "failure": failure, "success": os.path.exists(os.path.join(root, "output", "success")),
            "seen": seen, "code": tree(os.path.join(root, "code"))}


def run(fixture, program):
    """Lets `program` run the job in a directory of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(os.path.realpath(folder), "ml")
        stage(root, fixture)
        package = os.path.join(folder, "image", "sagemaker_sklearn_container")
        os.makedirs(package)
        for name, text in (("__init__.py", ""), ("training.py", FRAMEWORK_SOURCE)):
            with open(os.path.join(package, name), "w") as out:
                out.write(text)
        environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "LC_ALL": "C.UTF-8", "SAGEMAKER_BASE_DIR": root,
            "PYTHONPATH": os.path.dirname(package), "TEST_PYTHON": sys.executable,
            "SM_STUDIO_LOCAL_MODE": "true",  # algo-1 has no address on the machine that records
        }
        environment.update({k: v for k, v in fixture["environment"].items() if v is not None})
        done = subprocess.run([sys.executable] + program, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text = json.dumps(outcome(root, done.returncode))
        return json.loads(text.replace(root, "/opt/ml").replace(sys.executable, "{python}"))


def main():
    cases = []
    for fixture in fixtures():
        expected = run(fixture, ["-c", "from sagemaker_training.cli.train import main; main()"])
        print("%-70s exit %d" % (fixture["name"], expected["exit"]))
        cases.append(dict(fixture, expected=expected))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "training_toolkit.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"toolkit": "sagemaker-training " + TOOLKIT, "cases": cases}, out, indent=1,
                  sort_keys=True, ensure_ascii=True)
        out.write("\n")


if __name__ == "__main__":
    main()
