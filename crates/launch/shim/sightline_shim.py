"""The program inside a job's sandbox: it supervises the job's command and is the image's `train`.

`supervise` starts the command, hands signals down and its exit code up, and, when the job may
reach the server, carries TCP connections on the job's own loopback interface to a unix socket.
`train` is script mode: it unpacks the source archive, describes the job in `SM_*` variables and
runs the entry point the way the SageMaker training toolkit 5.1.4 does.

One file and the standard library only, for Python 3.6 to 3.14, because it runs on whatever
interpreter the job's environment has. Where it departs from the toolkit, a comment says so.
"""
import argparse
import json
import logging
import os
import re
import resource
import selectors
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import time
import traceback
import zlib
from typing import Any, Dict, Iterator, List, Optional, Tuple

log = logging.getLogger("sightline-training")

# ---- supervise ---------------------------------------------------------------------------------

# What a shell and Docker answer for the same three misfortunes.
EXIT_SUPERVISOR_FAILED = 125
EXIT_CANNOT_EXECUTE = 126
EXIT_NOT_FOUND = 127

FORWARDED = [
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
]

# Each connection holds two descriptors, so a low limit on open files lowers this.
CONNECTIONS_MAX = 256
DESCRIPTORS_OF_OUR_OWN = 32
CHUNK_BYTES = 256 * 1024
# A full accept queue of the server shows as EAGAIN, which no selector can wait for.
CONNECT_RETRY_SECONDS = 0.01
# Bytes the command wrote just before it ended still go out, but strays must not hold the job up.
DRAIN_SECONDS = 0.5


class Flow:
    """One direction of a connection: at most one chunk is in flight, so a slow reader slows the writer."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.pending = memoryview(b"")
        self.ended = False  # nothing more comes from the source
        self.refused = False  # the sink takes no more; what still comes is read and dropped
        self.done = False  # the sink has been told that no more comes

    def receive(self) -> None:
        """Takes one chunk from the source. A reset is for the caller, who knows the other side."""
        try:
            data = self.source.recv(CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        if not data:
            self.ended = True
        elif not self.refused:
            self.pending = memoryview(data)
        self.send()

    def refuse(self) -> None:
        """From now on, what comes is dropped."""
        self.refused = True
        self.pending = memoryview(b"")

    def send(self) -> None:
        """Passes on what is pending, then the end of the stream."""
        try:
            while self.pending:
                self.pending = self.pending[self.sink.send(self.pending):]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The sink may have answered before it stopped listening, so the other direction lives on.
            self.refuse()
        if self.ended and not self.done:
            self.done = True
            try:
                self.sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it is gone already: the same end


class Connection:
    """A TCP client of the job, the unix socket that stands behind it, and the flows between them."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.up = Flow(client, server)
        self.down = Flow(server, client)

    def wanted(self, side: socket.socket) -> int:
        """What the selector should watch `side` for."""
        outgoing, incoming = (self.up, self.down) if side is self.client else (self.down, self.up)
        events = 0
        if not outgoing.ended and not outgoing.pending:
            events |= selectors.EVENT_READ
        if incoming.pending:
            events |= selectors.EVENT_WRITE
        return events

    def ready(self, side: socket.socket, events: int) -> bool:
        """Moves bytes; false when the connection is over."""
        outgoing, incoming = (self.up, self.down) if side is self.client else (self.down, self.up)
        if events & selectors.EVENT_WRITE:
            incoming.send()
        if events & selectors.EVENT_READ:
            try:
                outgoing.receive()
            except OSError:
                if side is self.client:
                    return False
                # A server that closes with unread bytes shows as a reset, after all that it sent:
                # its answer still goes out, and what the client goes on sending is dropped.
                self.down.ended = True
                self.down.send()
                self.up.refuse()
        return not (self.up.done and self.down.done)


class Bridge:
    """Carries connections to 127.0.0.1:`port` over the unix socket at `path`, on the caller's thread."""

    def __init__(self, selector: selectors.BaseSelector, port: int, path: str) -> None:
        self.selector = selector
        self.path = path
        self.connections = set()  # type: set
        self.unconnected = []  # type: List[socket.socket]
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if descriptors == resource.RLIM_INFINITY:
            descriptors = sys.maxsize
        self.connections_max = max(1, min(CONNECTIONS_MAX, (descriptors - DESCRIPTORS_OF_OUR_OWN) // 2))
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(CONNECTIONS_MAX)
        self.listener.setblocking(False)
        self._watch_listener()

    def is_busy(self) -> bool:
        """Whether bytes of the job are on their way to the server."""
        return bool(self.unconnected) or any(c.up.pending for c in self.connections)

    def ready(self, key: selectors.SelectorKey, events: int) -> None:
        """Serves one event of the selector."""
        if key.fileobj is self.listener:
            self._accept()
            return
        connection = key.data
        if connection not in self.connections:
            return  # closed by an earlier event of the same round
        if connection.ready(key.fileobj, events):
            self._watch(connection)
        else:
            self._close(connection)

    def connect_waiting(self) -> None:
        """Tries to reach the server for clients that found its accept queue full."""
        waiting, self.unconnected = self.unconnected, []
        for client in waiting:
            self._connect(client)

    def _accept(self) -> None:
        try:
            client, _ = self.listener.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            return  # the client has gone again
        self._connect(client)
        self._watch_listener()

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.setblocking(False)
        try:
            server.connect(self.path)
        except BlockingIOError:
            server.close()
            self.unconnected.append(client)
            return
        except OSError as error:
            server.close()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            say("the server's API is out of reach: %s" % error)
            self._watch_listener()
            return
        connection = Connection(client, server)
        self.connections.add(connection)
        self._watch(connection)

    def _close(self, connection: Connection) -> None:
        self.connections.discard(connection)
        for side in (connection.client, connection.server):
            watch(self.selector, side, 0, None)
            side.close()
        self._watch_listener()

    def _watch(self, connection: Connection) -> None:
        for side in (connection.client, connection.server):
            watch(self.selector, side, connection.wanted(side), connection)

    def _watch_listener(self) -> None:
        full = len(self.connections) + len(self.unconnected) >= self.connections_max
        watch(self.selector, self.listener, 0 if full else selectors.EVENT_READ, None)


def watch(selector: selectors.BaseSelector, side: socket.socket, events: int, data: Any) -> None:
    """Sets what `selector` watches `side` for; a socket watched for nothing must not be registered,
    or a hang-up would wake the loop for ever."""
    known = selector.get_map().get(side)
    if known is None:
        if events:
            selector.register(side, events, data)
    elif not events:
        selector.unregister(side)
    elif known.events != events:
        selector.modify(side, events, data)


class Runner:
    """Runs one command to its end, handing signals down to it.

    Everything happens on one thread, woken by the selector: with a second thread, a signal could
    be taken by that one while the first sleeps in `waitpid`.
    """

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.bridge = None  # type: Optional[Bridge]
        self.child = None  # type: Optional[subprocess.Popen]
        self.early = []  # type: List[int]

    def run(self, command: List[Any], **options: Any) -> int:
        """Starts `command`, waits for it and returns its code; below zero for death by a signal."""
        self._catch_signals()
        self.child = subprocess.Popen(command, **options)
        for number in self.early:
            self._forward(number, None)
        while not self._reap():
            self._turn(CONNECT_RETRY_SECONDS if self.bridge and self.bridge.unconnected else None)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.bridge and time.monotonic() < deadline:
            busy = self.bridge.is_busy()
            if not self._turn(deadline - time.monotonic() if busy else 0) and not busy:
                break
        return self.child.returncode

    def _catch_signals(self) -> None:
        self.wake, self.wake_writer = socket.socketpair()
        for end in (self.wake, self.wake_writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self.wake_writer.fileno())
        self.selector.register(self.wake, selectors.EVENT_READ, None)
        for number in FORWARDED:
            signal.signal(number, self._forward)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _forward(self, number: int, _frame: Any) -> None:
        if self.child is None:
            self.early.append(number)
        elif self.child.returncode is None:
            os.kill(self.child.pid, number)

    def _reap(self) -> bool:
        """Collects every ended process, orphans of the command included; true once it has ended itself."""
        while self.child.returncode is None:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return False
            if pid == self.child.pid:
                killed = os.WIFSIGNALED(status)
                self.child.returncode = -os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
        return True

    def _turn(self, timeout: Optional[float]) -> bool:
        """One round of the loop; false when there was nothing to do."""
        ready = self.selector.select(None if timeout is None else max(timeout, 0))
        for key, events in ready:
            if key.fileobj is self.wake:
                self.wake.recv(4096)
            else:
                self.bridge.ready(key, events)
        if self.bridge:
            self.bridge.connect_waiting()
        return bool(ready)


def cannot_start(program: str, error: OSError) -> int:
    """Says why `program` did not start, and gives the code for it."""
    if isinstance(error, FileNotFoundError) and not os.path.exists(shutil.which(program) or program):
        say("cannot run %r: no such program" % program)
        return EXIT_NOT_FOUND
    say("cannot run %r: %s" % (program, error.strerror))
    return EXIT_CANNOT_EXECUTE


def say(text: str) -> None:
    """One line from the supervisor itself into the job's log."""
    sys.stderr.write("sightline: %s\n" % text)
    sys.stderr.flush()


def supervise(arguments: List[str]) -> int:
    """`supervise [--api-port PORT --api-socket PATH] -- COMMAND ARGUMENTS...`"""
    options, command = arguments, []  # type: Tuple[List[str], List[str]]
    if "--" in arguments:
        cut = arguments.index("--")
        options, command = arguments[:cut], arguments[cut + 1:]
    parser = argparse.ArgumentParser(prog="supervise")
    parser.add_argument("--api-port", type=int)
    parser.add_argument("--api-socket")
    given = parser.parse_args(options)
    if not command:
        parser.error("no command after --")
    if (given.api_port is None) != (given.api_socket is None):
        parser.error("--api-port and --api-socket go together")
    runner = Runner()
    if given.api_socket is not None:
        try:
            runner.bridge = Bridge(runner.selector, given.api_port, given.api_socket)
        except OSError as error:
            say("cannot listen on 127.0.0.1:%d: %s" % (given.api_port, error.strerror))
            return EXIT_SUPERVISOR_FAILED
    try:
        code = runner.run(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        return cannot_start(command[0], error)
    return 128 - code if code < 0 else code


# ---- train: the job as its script sees it ------------------------------------------------------

# Read by the SDK's and the toolkit's own code; everything else named `sagemaker_*` is a framework parameter.
PLATFORM_HYPERPARAMETERS = {
    "sagemaker_program", "sagemaker_submit_directory", "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region", "sagemaker_container_log_level", "sagemaker_job_name",
    "default_user_module_name", "_tuning_objective_metric", "sagemaker_s3_output",
}
DISTRIBUTIONS = [
    "sagemaker_mpi_enabled", "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled", "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled", "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
]
# Where the platform lays the archive that `sagemaker_submit_directory` names.
STAGED_ARCHIVE = "/opt/sightline/source/sourcedir.tar.gz"


class UserError(Exception):
    """The job cannot go on because of what the user gave; the text becomes the failure reason."""


class CommandError(UserError):
    """A program ended badly; the text has the toolkit's form."""

    def __init__(self, kind: str, command: List[str], code: int, message: str = "") -> None:
        lines = ["%s:" % kind, "ExitCode %d" % code, 'ErrorMessage "%s"' % message]
        if code == 137:
            # Only a shell shows a killed child this way; one that we started ourselves ends with -9.
            lines.append('ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"')
        lines.append('Command "%s"' % " ".join(command))
        super().__init__("\n".join(lines))


class Paths:
    """The tree of a job under `/opt/ml`, or under `SAGEMAKER_BASE_DIR` as the toolkit has it."""

    def __init__(self, base: str) -> None:
        self.code = os.path.join(base, "code")
        self.model = os.path.join(base, "model")
        self.input = os.path.join(base, "input")
        self.config = os.path.join(self.input, "config")
        self.output = os.path.join(base, "output")
        self.output_data = os.path.join(self.output, "data")
        self.output_intermediate = os.path.join(self.output, "intermediate")

    def channel(self, name: str) -> str:
        return os.path.join(self.input, "data", name)

    def read_config(self, name: str) -> Dict[str, Any]:
        with open(os.path.join(self.config, name), encoding="utf-8") as text:
            return json.load(text)

    def read_hyperparameters(self) -> Dict[str, Any]:
        """Every value is sent as a string holding JSON; one that is not JSON stands for itself."""
        decoded = {}
        for name, text in self.read_config("hyperparameters.json").items():
            try:
                decoded[name] = json.loads(text)
            except (ValueError, TypeError):
                decoded[name] = text
        return decoded


def training_facts(paths: Paths, everything: Dict[str, Any]) -> Dict[str, Any]:
    """All that `SM_TRAINING_ENV` tells, by the toolkit's names."""
    resources = paths.read_config("resourceconfig.json")
    inputs = paths.read_config("inputdataconfig.json")
    platform = {k: v for k, v in everything.items()
                if k in PLATFORM_HYPERPARAMETERS or k.startswith("sagemaker_")}
    framework = {k: v for k, v in platform.items() if k not in PLATFORM_HYPERPARAMETERS}
    program = os.environ.get("SAGEMAKER_PROGRAM") or platform.get("sagemaker_program")
    facts = {
        "additional_framework_parameters": framework,
        "channel_input_dirs": {name: paths.channel(name) for name in inputs},
        "current_host": resources["current_host"],
        "current_instance_type": resources.get("current_instance_type", "local"),
        "framework_module": os.environ.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": resources["hosts"],
        "hyperparameters": {k: v for k, v in everything.items() if k not in platform},
        "input_config_dir": paths.config,
        "input_data_config": inputs,
        "input_dir": paths.input,
        "is_modelparallel_enabled": os.environ.get("SM_HP_MP_PARAMETERS"),
        "is_smddpmprun_installed": shutil.which("smddpmprun") is not None,
        "is_smddprun_installed": shutil.which("smddprun") is not None,
        "job_name": os.environ.get("TRAINING_JOB_NAME"),
        "log_level": platform.get("sagemaker_container_log_level", logging.INFO),
        "model_dir": paths.model,
        "module_dir": str(platform.get("sagemaker_submit_directory", paths.code)),
        "module_name": re.sub(r"\.py\Z", "", str(program)),
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": os.cpu_count(),
        "num_gpus": count_gpus(),
        "num_neurons": count_neurons(resources.get("current_instance_type", "local")),
        "output_data_dir": paths.output_data,
        "output_dir": paths.output,
        "output_intermediate_dir": paths.output_intermediate,
        "resource_config": resources,
        "topology": resources.get("topology", []),
        "user_entry_point": program,
    }
    if facts["is_modelparallel_enabled"]:
        facts["is_modelparallel_enabled"] = facts["is_modelparallel_enabled"] != "{}"
    facts.update(instance_group_facts(resources, framework))
    return facts


def instance_group_facts(resources: Dict[str, Any], framework: Dict[str, Any]) -> Dict[str, Any]:
    """Who is in which group, and which groups take part in a distributed training."""
    current = resources.get("current_group_name", "homogeneousCluster")
    groups = resources.get("instance_groups", [])
    distributed = [current] if any(framework.get(name) for name in DISTRIBUTIONS) else []
    distributed = framework.get("sagemaker_distribution_instance_groups", distributed)
    by_name = {group["instance_group_name"]: group for group in groups}
    if groups:
        hosts = [h for g in groups if g["instance_group_name"] in distributed for h in g["hosts"]]
    else:
        hosts = list(resources["hosts"])
    master = (hosts or resources["hosts"])[0]
    return {
        "current_instance_group": current,
        "current_instance_group_hosts": by_name.get(current, {}).get("hosts", []),
        "distribution_hosts": hosts,
        "distribution_instance_groups": distributed,
        "instance_groups": [group["instance_group_name"] for group in groups],
        "instance_groups_dict": by_name,
        "is_hetero": len(groups) > 1,
        "is_master": resources["current_host"] == master,
        "master_hostname": master,
    }


def count_gpus() -> int:
    return sum(line.startswith("GPU ") for line in tool_output("nvidia-smi", "--list-gpus").splitlines())


def count_neurons(instance_type: str) -> int:
    if "trn2.48xlarge" in instance_type:
        return 64  # the tool counts these in another unit
    try:
        return sum(device.get("nc_count", 0) for device in json.loads(tool_output("neuron-ls", "-j") or "[]"))
    except ValueError:
        return 0


def tool_output(*command: str) -> str:
    """What a hardware tool prints; nothing where there is no such tool."""
    try:
        return subprocess.check_output(command).decode("utf-8", "replace")
    except (OSError, subprocess.CalledProcessError):
        return ""


# `SM_*` variables named after a fact that is told as it is.
TOLD_AS_IS = [
    "hosts", "network_interface_name", "user_entry_point", "resource_config", "input_data_config",
    "output_data_dir", "current_host", "current_instance_type", "current_instance_group",
    "current_instance_group_hosts", "instance_groups", "instance_groups_dict",
    "distribution_instance_groups", "is_hetero", "module_name", "log_level", "framework_module",
    "input_dir", "input_config_dir", "output_dir", "num_cpus", "num_gpus", "num_neurons", "model_dir",
    "module_dir", "output_intermediate_dir",
]


def training_variables(facts: Dict[str, Any], arguments: List[str]) -> Dict[str, str]:
    """The `SM_*` variables. Names keep their dashes, which a shell cannot export but `execve` can."""
    told = {name: facts[name] for name in TOLD_AS_IS}
    told.update({
        "hps": facts["hyperparameters"],
        "framework_params": facts["additional_framework_parameters"],
        "channels": sorted(facts["channel_input_dirs"]),
        "training_env": facts,
        "user_args": arguments,
    })
    if facts["topology"]:
        told["topology"] = facts["topology"]
    told.update({"channel_" + name: path for name, path in facts["channel_input_dirs"].items()})
    told.update({"hp_" + name: value for name, value in facts["hyperparameters"].items()})
    return {"SM_" + name.upper(): variable_text(value) for name, value in told.items()}


def variable_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def script_arguments(hyperparameters: Dict[str, Any], script: str) -> List[str]:
    """The hyperparameters as command-line arguments, sorted by name.

    The toolkit writes a one-letter name with one dash, so `C` becomes `-C` and a script that
    declares only `--C` fails. We keep `-C` unless the text of the script quotes `--C` and not
    `-C`: no script that works with the toolkit gets anything else, and the others work too.
    """
    arguments = []
    for name in sorted(hyperparameters):
        dashes = "--"
        if len(name) == 1:
            dashes = "--" if quotes(script, "--" + name) and not quotes(script, "-" + name) else "-"
        arguments += [dashes + name if name else "", argument_text(hyperparameters[name])]
    return arguments


def quotes(script: str, option: str) -> bool:
    return '"%s"' % option in script or "'%s'" % option in script


def argument_text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join("%s=%s" % pair for pair in sorted(value.items()))
    return "" if value is None else str(value)


# ---- train: the user's source ------------------------------------------------------------------

# Source, not data: more than this is a mistake or an attack.
ARCHIVE_MEMBERS_MAX = 100000
ARCHIVE_BYTES_MAX = 4 * 1024 ** 3


def fetch_source(uri: str, code: str) -> None:
    """Fills the code directory from where `sagemaker_submit_directory` points, unless it holds something."""
    os.makedirs(code, exist_ok=True)
    if os.listdir(code):
        log.info("%s is not empty; the source archive is not unpacked", code)
    elif uri.startswith("s3://"):
        staged = os.environ.get("SIGHTLINE_SOURCE_ARCHIVE", STAGED_ARCHIVE)
        if not os.path.exists(staged):
            raise UserError("the source archive %s was not staged for this job" % uri)
        unpack(staged, code)
    elif os.path.isdir(uri):
        if os.path.realpath(uri) != os.path.realpath(code):
            os.rmdir(code)
            shutil.copytree(uri, code)
    elif os.path.isfile(uri) and tarfile.is_tarfile(uri):
        unpack(uri, code)
    else:
        shutil.copy2(uri, code)


def unpack(archive: str, destination: str) -> None:
    """Unpacks a source archive so that nothing can land or point outside `destination`.

    Names are cut down to stay inside; what cannot be kept is left out with a warning. Links are
    made last, so that no file is ever written through one.
    """
    links = []
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in bounded(tar):
                name = inside_name(member.name)
                path = os.path.join(destination, name)
                if not name:
                    continue  # the archive's own root
                if member.isdir():
                    os.makedirs(path, exist_ok=True)
                elif member.isreg():
                    write_member(tar.extractfile(member), member, path)
                elif member.issym():
                    links.append((path, member.linkname))
                elif not (member.islnk() and link_member(destination, member, path)):
                    log.warning("left out of the source archive: %r", member.name)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise UserError("the source archive cannot be unpacked: %s" % error)
    make_links(destination, links)


def bounded(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive, as long as there are not too many and they are not too large."""
    size = 0
    for count, member in enumerate(tar, 1):
        size += member.size
        if count > ARCHIVE_MEMBERS_MAX or size > ARCHIVE_BYTES_MAX:
            raise UserError("the source archive holds more than %d members or %d bytes"
                            % (ARCHIVE_MEMBERS_MAX, ARCHIVE_BYTES_MAX))
        yield member


def inside_name(name: str) -> str:
    """`name` without anything that leads out: roots, drives, `.` and `..`."""
    parts = re.sub(r"\A[A-Za-z]:(?=[\\/])", "", name).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def write_member(body: Any, member: tarfile.TarInfo, path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isfile(path):
        os.remove(path)  # a later member of the same name replaces an earlier one
    mode = 0o755 if member.mode & 0o100 else 0o644
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as out:
        shutil.copyfileobj(body, out)
    os.utime(path, (member.mtime, member.mtime))


def link_member(destination: str, member: tarfile.TarInfo, path: str) -> bool:
    """Makes a hard link to a member unpacked before; false when there is no such file."""
    source = os.path.join(destination, inside_name(member.linkname))
    if not os.path.isfile(source) or os.path.exists(path):
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.link(source, path)
    return True


def make_links(destination: str, links: List[Tuple[str, str]]) -> None:
    """Makes symbolic links, then removes those that lead out, until none does: each can change
    where the others lead."""
    root = os.path.realpath(destination)
    made = []
    for path, target in links:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
            made.append(path)
        except OSError as error:
            log.warning("left out of the source archive: link %s (%s)", path, error.strerror)
    outside = made
    while outside:
        outside = [p for p in made if os.path.isabs(os.readlink(p)) or not is_inside(p, root)]
        for path in outside:
            log.warning("left out of the source archive: link %s leads out of it", path)
            os.remove(path)
            made.remove(path)


def is_inside(path: str, root: str) -> bool:
    return os.path.commonpath([root, os.path.realpath(path)]) == root


# ---- train: what must be installed -------------------------------------------------------------

# Releases such as `1.2.3`, their post-releases and local builds; the order of anything else is not judged.
VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(?:\.post(\d+))?(?:\+[A-Za-z0-9.]+)?\Z")
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*\(?(?P<specifiers>[^;@\[\]()]*)\)?\Z")
SPECIFIER = re.compile(r"(==|!=|<=|>=|<|>|~=)\s*([A-Za-z0-9.!+_-]+(?:\.\*)?)\Z")
PYTHON_MARKER = re.compile(r"""python_version\s*(==|!=|<=|>=|<|>)\s*['"]([0-9.]+)['"]\Z""")


def version_key(text: str) -> Optional[Tuple[List[int], int]]:
    """A value that orders versions; `None` for a version whose order is not judged."""
    found = VERSION.match(text)
    if not found:
        return None
    release = [int(number) for number in found.group(1).split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    return release, int(found.group(2) or -1)


def satisfies(version: str, operator: str, wanted: str) -> bool:
    """Whether `version` is one that `operator wanted` allows; false when that is unclear."""
    if wanted.endswith(".*"):
        same = (version + ".").startswith(wanted[:-1])
        return same if operator == "==" else operator == "!=" and not same
    have, want = version_key(version), version_key(wanted)
    if have is None or want is None:
        return operator == "==" and version == wanted
    if operator == "~=":
        return have >= want and (version + ".").startswith(wanted.rpartition(".")[0] + ".")
    return {"==": have == want, "!=": have != want, "<=": have <= want,
            ">=": have >= want, "<": have < want, ">": have > want}[operator]


def installed_packages() -> Dict[str, str]:
    """Name to version of every package on the path, read off the names of their metadata folders."""
    found = {}  # type: Dict[str, str]
    for folder in sys.path:
        for entry in os.listdir(folder) if os.path.isdir(folder) else []:
            match = re.match(r"(.+?)-([^-]+)(?:-py[0-9.]+)?\.(?:dist|egg)-info\Z", entry)
            if match:
                found.setdefault(package_key(match.group(1)), match.group(2))
    return found


def package_key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def unsatisfied(requirements: str, installed: Dict[str, str]) -> List[str]:
    """The lines of a requirements file that the environment does not surely satisfy."""
    missing = []
    for raw in requirements.replace("\\\n", " ").splitlines():
        line = re.sub(r"(\A|\s)#.*", "", raw).strip()
        if line and not is_satisfied(line, installed):
            missing.append(line)
    return missing


def is_satisfied(line: str, installed: Dict[str, str]) -> bool:
    requirement, _, marker = (part.strip() for part in line.partition(";"))
    python = PYTHON_MARKER.match(marker)
    if python and not satisfies("%d.%d" % sys.version_info[:2], python.group(1), python.group(2)):
        return True  # it is not asked for on this interpreter
    found = REQUIREMENT.match(requirement)
    version = installed.get(package_key(found.group("name"))) if found else None
    if version is None:
        return False
    wanted = [SPECIFIER.match(s.strip()) for s in found.group("specifiers").split(",") if s.strip()]
    return all(s is not None and satisfies(version, s.group(1), s.group(2)) for s in wanted)


def check_requirements(code: str) -> None:
    """Goes on when requirements.txt asks for nothing new. The toolkit would call pip here; the
    sandbox has no network and its environment is read-only."""
    path = os.path.join(code, "requirements.txt")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8", errors="replace") as text:
        missing = unsatisfied(text.read(), installed_packages())
    if missing:
        command = [sys.executable, "-m", "pip", "install", "-r", "requirements.txt"]
        raise CommandError("InstallRequirementsError", command, 1,
                           "requirements.txt is not installed by this release of Sightline, and the "
                           "job's environment does not satisfy: " + ", ".join(missing))
    log.info("requirements.txt is satisfied by the job's environment; nothing is installed")


# ---- train: running it -------------------------------------------------------------------------

SAFE_SEGMENT = re.compile(r"[A-Za-z0-9._+-]+\Z")


def check_entry_point(name: Any) -> str:
    """The entry point's name, if it is a plain relative path that no shell or interpreter can misread."""
    if not name:
        raise UserError("The training entry point name is empty. Name the script to run in the "
                        "hyperparameter sagemaker_program, relative to the source directory.")
    segments = str(name).split("/")
    reason = None
    if "." in segments or ".." in segments:
        reason = "it contains '.' or '..' path segments"
    elif str(name)[0] in "-+/":
        reason = "it contains a leading %r" % str(name)[0]
    elif not all(SAFE_SEGMENT.match(segment) for segment in segments):
        reason = "it contains an empty segment or characters other than letters, digits and . _ + - /"
    if reason:
        raise UserError("The training entry point %r cannot be used because %s. Give a path inside "
                        "the source directory, such as 'train.py'." % (str(name), reason))
    return name


def entry_point_text(paths: Paths, name: str) -> str:
    """The script itself, to see which options it declares; nothing for a program that cannot be read."""
    try:
        with open(os.path.join(paths.code, name), encoding="utf-8", errors="replace") as text:
            return text.read()
    except OSError:
        return ""


def entry_command(paths: Paths, name: str, arguments: List[str]) -> List[str]:
    """How the entry point is run: as a shell program, a module of a package, or a script."""
    is_package = "setup.py" in os.listdir(paths.code)
    if name.endswith(".sh") or not (is_package or name.endswith(".py")):
        path = os.path.join(paths.code, name)
        if not is_inside(path, os.path.realpath(paths.code)):
            raise UserError("The training entry point %r resolves to a location outside the source "
                            "directory." % name)
        os.chmod(path, 0o777)
        return ["/bin/sh", "-c", "./%s %s" % (shlex.quote(name), " ".join(map(shlex.quote, arguments)))]
    check_requirements(paths.code)
    if is_package:
        # The toolkit runs `pip install .` first. The modules are importable without it, because
        # the code directory is the working directory and the first place on PYTHONPATH.
        log.info("setup.py is not run by this release; modules are imported from %s", paths.code)
        return [sys.executable, "-m", re.sub(r"\.py\Z", "", name)] + arguments
    return [sys.executable, "--", name] + arguments


def to_bytes(text: str) -> bytes:
    """UTF-8 whatever the locale; what came from the environment undecodable goes back as it was."""
    return text.encode("utf-8", "surrogateescape")


def train() -> int:
    """Runs the training job described under /opt/ml; 0, or 1 and a failure file, as the toolkit does."""
    paths = Paths(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        run_training(paths)
    except UserError as error:
        report_failure(paths, str(error))
        return 1
    except Exception as error:  # whatever else went wrong must reach the user too
        report_failure(paths, "Framework Error: \n%s\n%s" % (traceback.format_exc(), error))
        return getattr(error, "errno", None) or 1
    with open(os.path.join(paths.output, "success"), "w"):
        log.info("training succeeded")
    return 0


def run_training(paths: Paths) -> None:
    hyperparameters = paths.read_hyperparameters()
    facts = training_facts(paths, hyperparameters)
    if isinstance(facts["log_level"], int):
        log.setLevel(facts["log_level"])
    fetch_source(facts["module_dir"], paths.code)
    name = check_entry_point(facts["user_entry_point"])
    arguments = script_arguments(facts["hyperparameters"], entry_point_text(paths, name))
    for argument in arguments[::2]:
        if len(argument) == 3 and argument.startswith("--"):
            log.info("%s is passed as %s, because %s declares that and not %s",
                     argument[2:], argument, name, argument[1:])
    command = entry_command(paths, name, arguments)
    variables = training_variables(facts, arguments)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")
    variables["CURRENT_HOST"] = facts["current_host"]
    variables["SAGEMAKER_JOB_NAME"] = str(hyperparameters.get("sagemaker_job_name", ""))
    variables["SAGEMAKER_REGION"] = str(hyperparameters.get("sagemaker_region", region))
    # The folder of this very file comes first on the path of this process and is nobody's business.
    here = os.path.dirname(os.path.abspath(__file__))
    others = [folder for folder in sys.path if folder and os.path.abspath(folder) != here]
    variables["PYTHONPATH"] = ":".join([paths.code] + others)
    log.info("training environment:\n%s", json.dumps(facts, indent=4, sort_keys=True))
    log.info("running in %s:\n%s", paths.code, " ".join(command))
    environment = {to_bytes(k): to_bytes(v) for k, v in dict(os.environ, **variables).items()}
    code = Runner().run([to_bytes(word) for word in command], env=environment, cwd=paths.code)
    if code:
        raise CommandError("ExecuteUserScriptError", command, code)


def report_failure(paths: Paths, text: str) -> None:
    """Leaves the reason where the platform reads it, unless the script has left its own."""
    log.error("training failed:\n%s", text)
    path = os.path.join(paths.output, "failure")
    if os.path.exists(path):
        log.info("%s exists and is kept", path)
        return
    os.makedirs(paths.output, exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as out:
        out.write(text)


def main(arguments: List[str]) -> int:
    if arguments[:1] == ["supervise"]:
        return supervise(arguments[1:])
    if arguments == ["train"]:
        return train()
    say("usage: supervise [--api-port PORT --api-socket PATH] -- COMMAND ARGUMENTS... | train")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
