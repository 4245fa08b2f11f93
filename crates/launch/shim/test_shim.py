"""Tests of the in-job shim: `python3 -m unittest discover -s crates/launch/shim`.

What `train` should do comes from `oracles/training_toolkit.json`, recorded from the real toolkit.
"""
import ctypes
import hashlib
import importlib.util
import io
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

import sightline_shim as shim

HERE = os.path.dirname(os.path.abspath(__file__))
SHIM = os.path.join(HERE, "sightline_shim.py")
ORACLES = os.path.join(HERE, "..", "..", "..", "oracles")
# Only a hang ever waits this long.
PATIENCE_SECONDS = 60


def load_oracle():
    """The recording script: it also lays out a job and collects what became of it."""
    path = os.path.join(ORACLES, "training_toolkit.py")
    spec = importlib.util.spec_from_file_location("training_toolkit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def supervise(command, *options, **popen):
    return subprocess.Popen([sys.executable, SHIM, "supervise"] + list(options) + ["--"] + command,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)


def python(source, *arguments):
    return [sys.executable, "-u", "-c", source] + list(arguments)


class Supervise(unittest.TestCase):
    def finish(self, process):
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, out.decode(), err.decode()

    def test_the_exit_code_is_the_commands(self):
        for code in (0, 3, 127, 255):
            self.assertEqual(self.finish(supervise(["sh", "-c", "exit %d" % code]))[0], code)

    def test_death_by_a_signal_is_128_and_its_number(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            self.assertEqual(self.finish(supervise(["sh", "-c", "kill -%d $$" % number]))[0], 128 + number)

    def test_signals_reach_the_command_which_decides(self):
        source = ("import signal, sys, time\n"
                  "number = int(sys.argv[1])\n"
                  "signal.signal(number, lambda *a: sys.exit(3))\n"
                  "print('ready')\n"
                  "while True: time.sleep(0.01)\n")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            process = supervise(python(source, str(int(number))))
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.send_signal(number)
            self.assertEqual(self.finish(process)[0], 3)

    def test_a_signal_goes_to_the_command_and_not_to_its_children(self):
        source = ("import os, signal\n"
                  "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
                  "r, w = os.pipe()\n"
                  "if os.fork() == 0:\n"
                  "    os.close(w); os.read(r, 1); os._exit(signal.SIGTERM in signal.sigpending())\n"
                  "print('ready'); signal.sigwait([signal.SIGTERM]); os.close(w)\n"
                  "print('status of the child:', os.wait()[1])\n")
        process = supervise(python(source))
        self.assertEqual(process.stdout.readline(), b"ready\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish(process), (0, "status of the child: 0\n", ""))

    def test_a_command_that_cannot_run_is_told_clearly(self):
        with tempfile.TemporaryDirectory() as folder:
            plain, broken = os.path.join(folder, "plain"), os.path.join(folder, "broken")
            for path, text, mode in ((plain, "x", 0o644), (broken, "#!/no/such/interpreter\n", 0o755)):
                with open(path, "w") as out:
                    out.write(text)
                os.chmod(path, mode)
            rows = [("no-such-program", 127, "no such program"), ("/no/such/program", 127, "no such program"),
                    (plain, 126, "Permission denied"), (folder, 126, "Permission denied"),
                    (broken, 126, "No such file")]
            for program, code, text in rows:
                got, out, err = self.finish(supervise([program, "x"]))
                self.assertEqual((got, out), (code, ""), program)
                self.assertIn(repr(program), err)
                self.assertIn(text, err)

    def test_arguments_environment_and_streams_pass_through(self):
        source = ("import os, sys\n"
                  "sys.stderr.write('err')\n"
                  "print(sys.argv[1:], os.environ['X-Y'], repr(sys.stdin.read()), os.getsid(0) == os.getpid())")
        process = supervise(python(source, "--", "a b", ""), env=dict(os.environ, **{"X-Y": "kept"}),
                            stdin=subprocess.PIPE)
        process.stdin.write(b"not for the job")
        self.assertEqual(self.finish(process), (0, "['--', 'a b', ''] kept '' True\n", "err"))

    def test_output_is_not_held_back(self):
        process = supervise(["sh", "-c", "printf part; exec sleep 600"])
        self.assertEqual(os.read(process.stdout.fileno(), 4), b"part")
        process.terminate()
        self.assertEqual(self.finish(process)[0], 143)

    def test_strays_do_not_hold_the_job_up(self):
        source = ("import os, signal\n"
                  "r, w = os.pipe()\n"
                  "if os.fork() == 0:\n"
                  "    os.setsid()\n"
                  "    if os.fork() == 0:\n"
                  "        os.write(w, b'%d\\n' % os.getpid())\n"
                  "        while True: signal.pause()\n"
                  "    os._exit(0)\n"
                  "os.write(1, os.read(r, 20)); os._exit(5)\n")
        process = supervise(python(source))
        stray = int(process.stdout.readline())
        try:
            self.assertEqual(process.wait(timeout=PATIENCE_SECONDS), 5)
            os.kill(stray, 0)
        finally:
            os.kill(stray, signal.SIGKILL)
            process.communicate()

    def test_orphans_are_collected_and_their_codes_ignored(self):
        # As process 1 of a sandbox, or as a subreaper like here, the supervisor inherits them.
        source = ("import os, time\n"
                  "r, w = os.pipe()\n"
                  "if os.fork() == 0:\n"
                  "    if os.fork() == 0:\n"
                  "        os.write(w, b'%d' % os.getpid()); os._exit(7)\n"
                  "    os._exit(0)\n"
                  "os.wait(); orphan = int(os.read(r, 20))\n"
                  "while os.path.exists('/proc/%d' % orphan): time.sleep(0.01)\n"
                  "os._exit(5)\n")
        libc = ctypes.CDLL(None)
        pr_set_child_subreaper = 36
        process = supervise(python(source), preexec_fn=lambda: libc.prctl(pr_set_child_subreaper, 1, 0, 0, 0))
        self.assertEqual(self.finish(process)[0], 5)

    def test_a_signal_that_comes_before_the_command_is_not_lost(self):
        source = ("import sightline_shim\n"
                  "runner = sightline_shim.Runner(); runner.early.append(15)\n"
                  "print(runner.run(['sleep', '600']))\n")
        out = subprocess.check_output(python(source), cwd=HERE, timeout=PATIENCE_SECONDS)
        self.assertEqual(out, b"-15\n")

    def test_bad_usage_is_refused(self):
        for options in (["supervise"], ["supervise", "--"], ["supervise", "--api-port", "1", "--", "true"], ["serve"], []):
            done = subprocess.run([sys.executable, SHIM] + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(b"usage", done.stderr)


class UnixServer:
    """Answers each connection to a unix socket with `serve(connection)` on a thread of its own."""

    def __init__(self, serve, backlog=128):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "api.sock")
        self.serve, self.accepted = serve, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(backlog)

    def start(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass  # the client broke off, as some tests do

    def stop(self):
        self.listener.close()
        self.folder.cleanup()


def echo(connection):
    while True:
        data = connection.recv(1 << 16)
        if not data:
            return
        connection.sendall(data)


def receive_all(connection):
    parts = []
    while True:
        data = connection.recv(1 << 16)
        if not data:
            return b"".join(parts)
        parts.append(data)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class BridgeCase(unittest.TestCase):
    def start(self, serve=echo, backlog=128, command=("sh", "-c", "echo ready; exec sleep 600"), accept=True,
              options=None):
        self.server = UnixServer(serve, backlog)
        if accept:
            self.server.start()
        self.addCleanup(self.server.stop)
        self.port = free_port()
        self.process = supervise(list(command), "--api-port", str(self.port), "--api-socket", self.server.path,
                                 **(options or {}))
        self.addCleanup(self.end)
        # The command runs only after the bridge listens.
        self.assertEqual(self.process.stdout.readline(), b"ready\n")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=PATIENCE_SECONDS)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        self.addCleanup(connection.close)
        return connection

    def round_trip(self, connection, data=b"x"):
        connection.sendall(data)
        got = b""
        while len(got) < len(data):
            got += connection.recv(1 << 16)
        self.assertEqual(got, data)

    def exchange(self, body):
        """Sends `body` and the end of the stream on one thread while another reads the answer."""
        connection = self.connect()

        def send():
            connection.sendall(body)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        answer = receive_all(connection)
        sender.join(PATIENCE_SECONDS)
        return answer


class Bridging(BridgeCase):
    def test_64_connections_at_once(self):
        self.start()
        bodies = [hashlib.sha256(b"%d" % n).digest() * 16384 for n in range(64)]
        answers = {}
        threads = [threading.Thread(target=lambda n=n: answers.update({n: self.exchange(bodies[n])}), daemon=True)
                   for n in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        self.assertEqual([answers.get(n) == bodies[n] for n in range(64)], [True] * 64)

    def test_50_megabytes_both_ways(self):
        self.start()
        body = os.urandom(1 << 20) * 50
        self.assertTrue(self.exchange(body) == body)

    def test_an_answer_after_the_request_has_ended(self):
        self.start(lambda c: c.sendall(b"%d bytes" % len(receive_all(c))))
        self.assertEqual(self.exchange(b"x" * 3000000), b"3000000 bytes")

    def test_a_request_after_the_answer_has_ended(self):
        late = []

        def serve(connection):
            connection.sendall(b"hello")
            connection.shutdown(socket.SHUT_WR)
            late.append(receive_all(connection))

        self.start(serve)
        connection = self.connect()
        self.assertEqual(receive_all(connection), b"hello")
        connection.sendall(b"late")
        connection.shutdown(socket.SHUT_WR)
        while not late:
            self.assertIsNone(self.process.poll())
        self.assertEqual(late, [b"late"])

    def test_an_early_answer_survives_an_unread_request(self):
        self.start(lambda c: c.sendall(b"n" * 300000))
        self.assertEqual(self.exchange(b"x" * 5000000), b"n" * 300000)

    def test_a_client_that_breaks_off_costs_nothing(self):
        self.start()
        steady = self.connect()
        self.round_trip(steady)
        descriptors = "/proc/%d/fd" % self.process.pid
        before = len(os.listdir(descriptors))
        for _ in range(200):
            connection = self.connect()
            self.round_trip(connection)
            connection.sendall(b"x" * 100000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(os.listdir(descriptors)) > before and time.monotonic() < deadline:
            self.round_trip(steady)
        self.assertEqual(len(os.listdir(descriptors)), before)

    def test_connections_beyond_the_limit_wait_for_a_place(self):
        self.start()
        served = [self.connect() for _ in range(shim.CONNECTIONS_MAX)]
        for connection in served:
            self.round_trip(connection)
        waiting = self.connect()
        waiting.sendall(b"x")
        self.round_trip(served[0])
        self.assertEqual(self.server.accepted, shim.CONNECTIONS_MAX)
        served[0].close()
        self.assertEqual(waiting.recv(1), b"x")

    def test_a_low_limit_on_open_files_lowers_the_number_of_places(self):
        self.start(options={"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))})
        served = [self.connect() for _ in range(16)]
        for connection in served:
            self.round_trip(connection)
        waiting = [self.connect() for _ in range(40)]
        for connection in waiting:
            connection.sendall(b"x")
        self.round_trip(served[0])
        self.assertEqual(self.server.accepted, 16)
        for connection in served:
            connection.close()
        for connection in waiting:
            self.assertEqual(connection.recv(1), b"x")
            connection.close()

    def test_a_server_slow_to_accept_loses_nobody(self):
        def serve(connection):
            # Nothing the server does wakes the bridge before it has brought everyone through.
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self.server.accepted < 20 and time.monotonic() < deadline:
                time.sleep(0.001)
            echo(connection)

        self.start(serve, backlog=1, accept=False)
        connections = [self.connect() for _ in range(20)]
        for connection in connections:
            connection.sendall(b"early")
        self.server.start()
        for connection in connections:
            self.assertEqual(connection.recv(5), b"early")

    def test_a_server_that_is_gone_breaks_the_connection(self):
        self.start(accept=False)
        self.server.listener.close()
        connection = self.connect()
        with self.assertRaises(ConnectionResetError):
            connection.recv(1)
        self.assertIsNone(self.process.poll())

    def test_an_idle_bridge_uses_no_processor(self):
        self.start()
        kept = [self.connect() for _ in range(3)]
        for connection in kept:
            self.round_trip(connection)
        kept[0].shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(kept[0]), b"")
        before = self.processor_ticks()
        with self.assertRaises(subprocess.TimeoutExpired):
            self.process.wait(timeout=0.5)
        self.assertLess(self.processor_ticks() - before, 10)

    def processor_ticks(self):
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def test_a_port_in_use_is_told(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            process = supervise(["true"], "--api-port", str(taken.getsockname()[1]), "--api-socket", "/x")
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(process.returncode, 125)
        self.assertIn(b"cannot listen on 127.0.0.1", err)


class BridgeAtTheEnd(BridgeCase):
    def test_open_connections_do_not_hold_the_job_up(self):
        self.start()
        self.round_trip(self.connect())
        started = time.monotonic()
        self.process.terminate()
        self.assertEqual(self.process.wait(timeout=PATIENCE_SECONDS), 143)
        self.assertLess(time.monotonic() - started, 5)

    def test_the_last_words_of_the_command_arrive(self):
        heard, arrived = [], threading.Event()

        def serve(connection):
            heard.append(len(receive_all(connection)))
            arrived.set()

        # While the supervisor is stopped the command connects, writes what the kernel takes, and ends.
        source = ("import os, signal, socket, sys\n"
                  "os.kill(os.getppid(), signal.SIGSTOP)\n"
                  "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
                  "s.setblocking(False); sent = 0\n"
                  "try:\n"
                  "    while True: sent += s.send(b'x' * 100000)\n"
                  "except BlockingIOError: pass\n"
                  "os.write(1, b'%d %d\\n' % (os.getpid(), sent)); os._exit(0)\n")
        port = free_port()
        server = UnixServer(serve).start()
        self.addCleanup(server.stop)
        process = supervise(python(source, str(port)), "--api-port", str(port), "--api-socket", server.path)
        command, sent = map(int, process.stdout.readline().split())
        while True:
            with open("/proc/%d/stat" % command) as stat:
                if stat.read().rpartition(") ")[2][0] == "Z":
                    break
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=PATIENCE_SECONDS)
        self.assertTrue(arrived.wait(PATIENCE_SECONDS))
        self.assertGreater(sent, shim.CHUNK_BYTES)
        self.assertEqual(heard, [sent])


class Train(unittest.TestCase):
    # The one place where the shim leaves the toolkit's behaviour on purpose.
    LONG_FORM_ONLY = "a one-letter name for a script with the long form only"

    @classmethod
    def setUpClass(cls):
        cls.oracle = load_oracle()
        with open(os.path.join(ORACLES, "training_toolkit.json"), encoding="utf-8") as text:
            cls.cases = json.load(text)["cases"]

    def test_jobs_go_as_with_the_toolkit(self):
        self.maxDiff = None
        compared = 0
        for case in self.cases:
            if case["name"] != self.LONG_FORM_ONLY:
                with self.subTest(case["name"]):
                    self.assertEqual(self.oracle.run(case, [SHIM, "train"]), case["expected"])
                    compared += 1
        self.assertGreaterEqual(compared, 30)

    def test_the_oracle_holds_the_variables_that_scripts_rely_on(self):
        seen = self.cases[0]["expected"]["seen"]
        self.assertGreaterEqual(len(seen["sm"]), 33)
        self.assertEqual(seen["sm"]["SM_HP_N-ESTIMATORS"], "100")

    def test_a_script_with_the_long_form_of_a_one_letter_name_gets_that(self):
        case = next(c for c in self.cases if c["name"] == self.LONG_FORM_ONLY)
        self.assertIn("train.py -C 0.01", case["expected"]["failure"])
        got = self.oracle.run(case, [SHIM, "train"])
        self.assertEqual((got["exit"], got["failure"]), (0, None))
        self.assertEqual(got["seen"]["argv"], ["train.py", "--C", "0.01", "--max-iter", "900"])
        self.assertEqual(json.loads(got["seen"]["sm"]["SM_USER_ARGS"]), got["seen"]["argv"][1:])

    def run_job(self, archive=None, source=None, env=None, program="train.py"):
        """A job whose archive the platform has staged; its exit code, log, failure text and tree."""
        with tempfile.TemporaryDirectory() as folder:
            root = os.path.join(folder, "ml")
            staged = os.path.join(folder, "sourcedir.tar.gz")
            self.oracle.stage(root, self.oracle.job("job", self.oracle.sdk(program), source or {}))
            if isinstance(archive, bytes):
                with open(staged, "wb") as out:
                    out.write(archive)
            elif archive is not None:
                self.oracle.write_archive(staged, archive)
            environment = dict(os.environ, SAGEMAKER_BASE_DIR=root, SIGHTLINE_SOURCE_ARCHIVE=staged, **(env or {}))
            done = subprocess.run([sys.executable, SHIM, "train"], env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS)
            got = self.oracle.outcome(root, done.returncode)
            self.assertEqual(got["success"], got["failure"] is None)
            return done.returncode, done.stdout.decode(), got["failure"], got["code"]

    def test_the_staged_archive_is_unpacked_and_run(self):
        code, log, failure, tree = self.run_job([["train.py", "file", "import help, os; print(help.WORD, os.environ['PYTHONPATH'])"],
                                                 ["help.py", "file", "WORD = 'hello'"]])
        self.assertEqual((code, failure), (0, None))
        self.assertRegex(log, r"(?m)^hello /.*/ml/code:/")
        self.assertNotIn(HERE, re.search(r"(?m)^hello .*", log).group(0).split(":"))
        self.assertEqual(sorted(tree), ["help.py", "train.py"])

    def test_an_archive_that_is_absent_or_broken_fails_the_job_with_a_reason(self):
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w:gz") as tar:
            member = tarfile.TarInfo("train.py")
            member.size = 100000
            tar.addfile(member, io.BytesIO(os.urandom(50000).hex().encode()))
        rows = [(None, "was not staged"), (b"not a tar", "cannot be unpacked"),
                (whole.getvalue()[:30000], "cannot be unpacked"),
                ([["a", "file", "x"], ["a/b", "file", "y"]], "cannot be unpacked")]
        for archive, text in rows:
            code, _, failure, _ = self.run_job(archive)
            self.assertEqual(code, 1)
            self.assertIn(text, failure)
            self.assertNotIn("Traceback", failure)

    def test_requirements_that_the_environment_satisfies_are_no_obstacle(self):
        with tempfile.TemporaryDirectory() as site:
            os.mkdir(os.path.join(site, "Some_Package-1.2.3.dist-info"))
            source = {"train.py": "print('trained')", "requirements.txt": "some-package>=1.2  # comment\n"}
            code, log, failure, _ = self.run_job(source=source, env={"PYTHONPATH": site})
        self.assertEqual((code, failure), (0, None))
        self.assertIn("requirements.txt is satisfied", log)
        self.assertIn("trained\n", log)

    def test_requirements_that_it_does_not_satisfy_fail_the_job_honestly(self):
        source = {"train.py": "print('trained')", "requirements.txt": "no-such-package==1\n"}
        code, log, failure, _ = self.run_job(source=source)
        self.assertEqual(code, 1)
        self.assertTrue(failure.startswith("InstallRequirementsError:\nExitCode 1\nErrorMessage \"requirements.txt "
                                           "is not installed by this release"), failure)
        self.assertIn("no-such-package==1", failure)
        self.assertNotIn("trained\n", log)

    def test_a_request_to_stop_reaches_the_script(self):
        script = ("import signal, sys, time\n"
                  "signal.signal(signal.SIGTERM, lambda *a: sys.exit(3))\n"
                  "print('ready', flush=True)\n"
                  "while True: time.sleep(0.01)\n")
        with tempfile.TemporaryDirectory() as root:
            root = os.path.join(root, "ml")
            self.oracle.stage(root, self.oracle.job("job", self.oracle.sdk(), {"train.py": script}))
            process = supervise([sys.executable, SHIM, "train"], env=dict(os.environ, SAGEMAKER_BASE_DIR=root))
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.terminate()
            process.communicate(timeout=PATIENCE_SECONDS)
            self.assertEqual(process.returncode, 1)
            with open(os.path.join(root, "output", "failure")) as failure:
                self.assertIn("ExitCode 3", failure.read())


class Unpack(unittest.TestCase):
    def unpack(self, members):
        """What lies in a neighbour folder and in the destination after unpacking `members`."""
        oracle = load_oracle()
        with tempfile.TemporaryDirectory() as folder:
            archive, code = os.path.join(folder, "a.tar.gz"), os.path.join(folder, "ml", "code")
            os.makedirs(code)
            oracle.write_archive(archive, members)
            with self.assertLogs("sightline-training"):
                shim.log.warning("so that there is a line")
                shim.unpack(archive, code)
            self.assertEqual(sorted(os.listdir(folder)), ["a.tar.gz", "ml"])
            self.assertEqual(os.listdir(os.path.join(folder, "ml")), ["code"])
            return oracle.tree(code)

    def test_no_file_is_written_through_a_link(self):
        tree = self.unpack([["d", "symlink", ".."], ["d/x", "file", "inside"]])
        self.assertEqual(tree, {"d/x": "inside"})

    def test_links_that_lead_out_together_are_all_left_out(self):
        # Where `out` leads depends on `s/t`, and `s/u` on both.
        tree = self.unpack([["f/g", "file", "y"], ["out", "symlink", "s/t/../.."], ["s/t", "symlink", "../f"],
                            ["s/u", "symlink", "../out/../.."], ["ok", "symlink", "f/g"]])
        self.assertEqual(tree, {"f/g": "y", "ok": "-> f/g", "s/t": "-> ../f"})
        tree = self.unpack([["a", "symlink", "b/c/../../.."], ["b/c", "symlink", "../.."],
                            ["abs", "symlink", "/etc/passwd"], ["self", "symlink", "self"]])
        self.assertNotIn("a", tree)
        self.assertNotIn("b/c", tree)
        self.assertNotIn("abs", tree)

    def test_removing_one_link_can_turn_another_outwards(self):
        with tempfile.TemporaryDirectory() as folder:
            code = os.path.join(folder, "code")
            os.makedirs(os.path.join(code, "d", "e"))
            with self.assertLogs("sightline-training") as logs:
                shim.make_links(code, [(os.path.join(code, "b"), os.path.join(code, "d", "e")),
                                       (os.path.join(code, "a"), "b/../..")])
            self.assertEqual(os.listdir(code), ["d"])
            self.assertEqual(len(logs.output), 2)

    def test_a_later_member_replaces_an_earlier_one_even_if_hard_linked(self):
        tree = self.unpack([["a", "file", "1"], ["b", "hard link", "a"], ["a", "file", "2"]])
        self.assertEqual(tree, {"a": "2", "b": "1"})

    def test_too_many_members_or_bytes_are_refused(self):
        for name in ("ARCHIVE_MEMBERS_MAX", "ARCHIVE_BYTES_MAX"):
            before = getattr(shim, name)
            setattr(shim, name, 2)
            self.addCleanup(setattr, shim, name, before)
            self.unpack([["a", "file", "1"], ["b", "file", "2"]])
            with self.assertRaisesRegex(shim.UserError, "more than"):
                self.unpack([["a", "file", "1"], ["b", "file", "2"], ["c", "file", "3"]])
            setattr(shim, name, before)


class Requirements(unittest.TestCase):
    INSTALLED = {"numpy": "1.24.1", "scikit-learn": "1.2.0", "torch": "2.1.0+cpu", "odd": "1.0rc1"}

    def check(self, line, satisfied):
        self.assertEqual(shim.unsatisfied(line, self.INSTALLED), [] if satisfied else [line.split(" #")[0].strip()], line)

    def test_lines_of_a_requirements_file(self):
        satisfied = [
            "numpy", "NumPy", "scikit_learn", "scikit.learn==1.2", "numpy==1.24.1", "numpy == 1.24.*", "numpy!=1.25",
            "numpy>=1.20,<2", "numpy ~= 1.20", "numpy~=1.24.0", "numpy (>=1.2)", "torch==2.1.0", "odd==1.0rc1",
            "numpy>1.9", "numpy # any", "numpy; python_version >= '3'", "absent; python_version < '3.0'",
            "numpy; sys_platform == 'linux'",
        ]
        missing = [
            "absent", "numpy==1.24", "numpy==1.2.*", "numpy>1.24.1", "numpy<1.24.1", "numpy!=1.24.*", "numpy~=1.24.2",
            "numpy~=1.20.0", "scikit-learn>=1.2.1", "odd>=0.9", "numpy[extra]", "numpy @ file:///x", "-r other.txt",
            "--index-url https://x", "./local", "git+https://x/y.git", "absent; python_version >= '3'",
            "absent; sys_platform == 'linux'", "numpy>=", "numpy>=1.0 <2",
        ]
        for line in satisfied:
            self.check(line, True)
        for line in missing:
            self.check(line, False)

    def test_comments_and_continued_lines(self):
        text = "# all\n\nnumpy>=1, \\\n  <2\nabsent\n"
        self.assertEqual(shim.unsatisfied(text, self.INSTALLED), ["absent"])


if __name__ == "__main__":
    unittest.main()
