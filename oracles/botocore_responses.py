"""Lets botocore read the answers that the server's encoders write, and keeps those it accepts.

`cargo nextest run -p sightline-model-aws -p sightline-model-sagemaker` encodes the documents of
response_documents.json and compares the bytes with botocore_responses.json; where they differ it
writes what it encoded to a file and names that file. Given such files, this script hands each
answer to a real client. Only when every client understands what the document says are the bytes
taken into botocore_responses.json. Without files it reads the committed bytes again.

    python -m venv venv && venv/bin/pip install botocore
    venv/bin/python oracles/botocore_responses.py [FILE...]
"""

import base64
import datetime
import json
import pathlib
import sys

import botocore
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from botocore_requests import CASES

HERE = pathlib.Path(__file__).parent
REQUEST_ID = "0f9c2c5e-0000-4000-8000-000000000000"
INPUTS = {(service, operation): inputs[0] for service, operation, inputs in CASES}


class Raw:
    """The body as urllib3 would hand it over."""

    def __init__(self, body):
        self.body = body

    def stream(self, **_):
        yield self.read()

    def read(self, *_, **__):
        body, self.body = self.body, b""
        return body


def main():
    documents = json.loads((HERE / "response_documents.json").read_text(encoding="utf-8"))["cases"]
    committed = HERE / "botocore_responses.json"
    encoded = json.loads(committed.read_text())["answers"] if committed.exists() else {}
    for path in sys.argv[1:]:
        encoded |= json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    names = [case["name"] for case in documents]
    missing = [name for name in names if name not in encoded]
    if missing:
        sys.exit(f"not encoded yet: {', '.join(missing)}")
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    wrong = [text for case in documents for text in check(session, case, encoded[case["name"]])]
    if wrong:
        sys.exit("\n".join(wrong))
    output = {"botocore": botocore.__version__, "answers": {name: encoded[name] for name in names}}
    committed.write_text(json.dumps(output, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check(session, case, answer):
    """Yields what botocore understands otherwise than the document says."""
    parsed, metadata = read(session, case, answer)
    if "error" in case:
        error = case["error"]
        expected = {"Code": error["code"], "Message": error["message"]}
        got = {key: parsed.get(key) for key in expected}
        for name, value in error["details"].items():
            expected[name] = value
            got[name] = parsed.get(name)
    else:
        expected = case.get("parsed", case["document"])
        got = parsed
    if got != expected:
        yield f"{case['name']}:\n  expected {expected}\n  got      {got}"
    if metadata.get("RequestId") != REQUEST_ID:
        yield f"{case['name']}: the request id is {metadata.get('RequestId')}"


def read(session, case, answer):
    service, operation = case["service"], case["operation"]
    client = session.create_client(
        service,
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:7070",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    headers = {name: value for name, value in answer["headers"]}

    def respond(request, **_):
        return AWSResponse(request.url, answer["status"], headers, Raw(answer["body"].encode()))

    client.meta.events.register("before-send", respond)
    method = next(m for m, o in client.meta.method_to_api_mapping.items() if o == operation)
    try:
        parsed = getattr(client, method)(**INPUTS[(service, operation)])
    except ClientError as error:
        return error.response["Error"], error.response["ResponseMetadata"]
    metadata = parsed.pop("ResponseMetadata")
    parsed.pop("Body", None)
    return canonical(parsed), metadata


def canonical(value):
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    return value


if __name__ == "__main__":
    main()
