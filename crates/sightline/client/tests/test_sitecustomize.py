"""What sitecustomize.py promises, each in a fresh interpreter. Needs only the standard library."""

import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

CLIENT = pathlib.Path(__file__).resolve().parent.parent
AWS_STS = "https://sts.us-east-1.amazonaws.com"
SERVER = "http://127.0.0.1:7070"

# The part of botocore that the redirect touches: what reaches `create_client` is what counts.
BOTOCORE = """
class Session:
    def create_client(self, service_name, region_name=None, endpoint_url=None):
        "Makes a client."
        return (service_name, region_name, endpoint_url)
"""


class Interpreter(unittest.TestCase):
    """Runs programs with the client folder first on PYTHONPATH and `self.folder` after it."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def start(self, program, path=None, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, path or [CLIENT, self.folder]))
        environment.update(variables)
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=environment, cwd=str(self.folder), universal_newlines=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
        )

    def output(self, program, path=None, **variables):
        done = self.start(program, path, **variables)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()


class TheRedirect(Interpreter):
    def setUp(self):
        super().setUp()
        self.write("botocore/__init__.py", "")
        self.write("botocore/session.py", BOTOCORE)

    def endpoint(self, service, endpoint_url, **variables):
        return self.output(
            """
            from botocore.session import Session
            print(Session().create_client({!r}, region_name="r", endpoint_url={!r})[2])
            """.format(service, endpoint_url),
            **variables
        )

    def test_only_the_hard_coded_sts_address_is_left_out(self):
        cases = [
            ("sts", AWS_STS, "None"),
            ("sts", "https://sts.amazonaws.com", "None"),
            ("sts", "https://sts.eu-west-1.amazonaws.com:443/", "None"),
            ("sts", None, "None"),
            ("sts", "http://localhost:9999", "http://localhost:9999"),
            ("sts", "https://amazonaws.com.example", "https://amazonaws.com.example"),
            ("sts", "https://notamazonaws.com", "https://notamazonaws.com"),
            ("s3", "https://s3.amazonaws.com", "https://s3.amazonaws.com"),
            ("sagemaker", "https://sts.amazonaws.com", "https://sts.amazonaws.com"),
        ]
        for service, given, wanted in cases:
            with self.subTest(service=service, endpoint_url=given):
                self.assertEqual(self.endpoint(service, given, AWS_ENDPOINT_URL=SERVER), wanted)

    def test_the_sts_variable_alone_redirects_too(self):
        self.assertEqual(self.endpoint("sts", AWS_STS, AWS_ENDPOINT_URL_STS=SERVER), "None")

    def test_without_the_variable_nothing_is_redirected(self):
        self.assertEqual(self.endpoint("sts", AWS_STS), AWS_STS)
        self.assertEqual(self.endpoint("sts", AWS_STS, AWS_ENDPOINT_URL=""), AWS_STS)

    def test_the_variable_is_read_when_the_client_is_made(self):
        got = self.output(
            """
            import os
            from botocore.session import Session
            os.environ["AWS_ENDPOINT_URL"] = "http://localhost"
            print(Session().create_client("sts", endpoint_url="{}")[2])
            """.format(AWS_STS)
        )
        self.assertEqual(got, "None")

    def test_an_address_that_is_no_text_reaches_botocore_as_it_is(self):
        self.assertEqual(self.endpoint("sts", 7, AWS_ENDPOINT_URL=SERVER), "7")

    def test_positional_arguments_and_the_signature_are_kept(self):
        got = self.output(
            """
            import inspect
            from botocore.session import Session
            print(Session().create_client("s3", "here", "there"))
            print(list(inspect.signature(Session.create_client).parameters))
            print(Session.create_client.__doc__)
            """,
            AWS_ENDPOINT_URL=SERVER,
        )
        self.assertEqual(
            got.splitlines(),
            [
                "('s3', 'here', 'there')",
                "['self', 'service_name', 'region_name', 'endpoint_url']",
                "Makes a client.",
            ],
        )

    def test_a_reloaded_module_is_redirected_once(self):
        got = self.output(
            """
            import importlib, botocore.session
            importlib.reload(botocore.session)
            create = botocore.session.Session.create_client
            print(hasattr(create, "__wrapped__"), hasattr(create.__wrapped__, "__wrapped__"))
            """
        )
        self.assertEqual(got, "True False")

    def test_the_loader_stays_the_real_one(self):
        got = self.output(
            """
            import botocore.session, inspect
            print(type(botocore.session.__loader__).__name__)
            print(type(botocore.session.__spec__.loader).__name__)
            print("def create_client" in inspect.getsource(botocore.session))
            """
        )
        self.assertEqual(got.split(), ["SourceFileLoader", "SourceFileLoader", "True"])

    def test_a_botocore_of_another_shape_is_left_alone(self):
        self.write("botocore/session.py", "VERSION = 9\n")
        self.assertEqual(self.output("import botocore.session as s; print(s.VERSION)"), "9")

    def test_a_botocore_that_fails_to_import_fails_as_ever(self):
        self.write("botocore/session.py", "raise RuntimeError('broken botocore')\n")
        done = self.start("import botocore.session")
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.endswith("RuntimeError: broken botocore\n"), done.stderr)

    def test_a_finder_that_fails_fails_as_ever(self):
        done = self.start(
            """
            import sys
            class Finder:
                def find_spec(name, path=None, target=None):
                    if name == "botocore.session":
                        raise ImportError("not from here")
            sys.meta_path.append(Finder)
            sys.meta_path.insert(0, Finder)
            import botocore.session
            """
        )
        self.assertTrue(done.stderr.endswith("ImportError: not from here\n"), done.stderr)

    def test_a_missing_botocore_is_missing_as_ever(self):
        (self.folder / "botocore" / "session.py").unlink()
        done = self.start("import botocore.session")
        self.assertIn("ModuleNotFoundError: No module named 'botocore.session'", done.stderr)

    def test_a_program_without_botocore_pays_for_nothing(self):
        program = "import sys; print(*sorted(sys.modules))"
        plain = set(self.output(program, [self.folder]).split())
        added = {name.partition(".")[0] for name in set(self.output(program).split()) - plain}
        self.assertEqual(added & {"botocore", "boto3", "http", "logging", "urllib"}, set())


class AnotherSitecustomize(Interpreter):
    def test_it_runs_exactly_once_under_its_own_name(self):
        self.write(
            "sitecustomize.py",
            """
            import sys
            print("ran", __name__, __spec__.name)
            GREETING = "hello"
            """,
        )
        got = self.output("import sitecustomize as s; print(s.GREETING, s.__file__)")
        wanted = ["ran sitecustomize sitecustomize", "hello " + str(self.folder / "sitecustomize.py")]
        self.assertEqual(got.splitlines(), wanted)

    def test_it_runs_although_our_folder_is_named_twice(self):
        self.write("sitecustomize.py", "print('ran')")
        path = [CLIENT, os.path.join(str(CLIENT), "tests", ".."), self.folder, CLIENT]
        self.assertEqual(self.output("pass", path), "ran")

    def test_the_first_of_several_runs(self):
        self.write("first/sitecustomize.py", "print('first')")
        self.write("second/sitecustomize.py", "print('second')")
        path = [CLIENT, self.folder / "first", self.folder / "second"]
        self.assertEqual(self.output("pass", path), "first")

    def test_one_that_is_a_package_runs(self):
        self.write("sitecustomize/__init__.py", "from . import part")
        self.write("sitecustomize/part.py", "print('part')")
        self.assertEqual(self.output("pass"), "part")

    def test_an_error_in_it_is_reported_as_without_us_and_the_redirect_holds(self):
        self.write("sitecustomize.py", "raise ValueError('mine')")
        self.write("botocore/__init__.py", "")
        self.write("botocore/session.py", BOTOCORE)
        program = """
            from botocore.session import Session
            print(Session().create_client("sts", endpoint_url="{}")[2])
            """.format(AWS_STS)
        without = self.start(program, [self.folder], AWS_ENDPOINT_URL=SERVER)
        with_ours = self.start(program, AWS_ENDPOINT_URL=SERVER)
        self.assertIn("ValueError: mine", without.stderr)
        self.assertEqual(with_ours.stderr, without.stderr)
        self.assertEqual((without.stdout, with_ours.stdout), (AWS_STS + "\n", "None\n"))

    def test_a_folder_of_that_name_without_code_is_no_error(self):
        (self.folder / "sitecustomize").mkdir()
        self.assertEqual(self.output("print('fine')"), "fine")

    def test_without_one_the_program_starts_silently(self):
        self.assertEqual(self.output("print('fine')"), "fine")


if __name__ == "__main__":
    unittest.main()
