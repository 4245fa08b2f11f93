"""The redirect with the real boto3: the SDK's own way of making its STS client reaches the server.

Run with the interpreter of the client environment (`scripts/setup client-python`).
"""

import http.server
import os
import pathlib
import subprocess
import sys
import threading
import unittest

CLIENT = pathlib.Path(__file__).resolve().parent.parent
ANSWER = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/reader/me</Arn>
<UserId>AROA:me</UserId><Account>123456789012</Account></GetCallerIdentityResult>
</GetCallerIdentityResponse>"""


class Sts(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *arguments):
        pass


class WithBoto3(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sts)
        self.server.bodies = []
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def output(self, program, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
        environment.update(
            PYTHONPATH=str(CLIENT), AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b",
            AWS_DEFAULT_REGION="us-east-1", **variables
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, universal_newlines=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_a_client_with_the_hard_coded_address_reaches_the_server(self):
        program = (
            "import boto3\n"
            "sts = boto3.Session().client('sts', region_name='us-east-1',"
            " endpoint_url='https://sts.us-east-1.amazonaws.com')\n"
            "print(sts.meta.endpoint_url, sts.get_caller_identity()['Account'])"
        )
        got = self.output(program, AWS_ENDPOINT_URL=self.url)
        self.assertEqual(got, self.url + " 123456789012")
        self.assertEqual(self.server.bodies, [b"Action=GetCallerIdentity&Version=2011-06-15"])

    def test_other_explicit_addresses_are_kept(self):
        program = (
            "import boto3\n"
            "print(boto3.client('sts', endpoint_url='http://localhost:1').meta.endpoint_url)\n"
            "print(boto3.client('s3', endpoint_url='https://s3.amazonaws.com').meta.endpoint_url)\n"
        )
        got = self.output(program, AWS_ENDPOINT_URL=self.url)
        self.assertEqual(got.split(), ["http://localhost:1", "https://s3.amazonaws.com"])

    def test_without_the_variable_the_address_is_kept(self):
        program = (
            "import boto3\n"
            "print(boto3.client('sts', endpoint_url='https://sts.us-east-1.amazonaws.com').meta.endpoint_url)\n"
        )
        self.assertEqual(self.output(program), "https://sts.us-east-1.amazonaws.com")


if __name__ == "__main__":
    unittest.main()
