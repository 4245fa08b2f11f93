"""Events exported as columns: what the JSON lines say, in the words of SQL."""

import datetime
import json

import duckdb
import pyarrow.parquet

from running import Server


def test_the_columns_say_what_the_lines_say(tmp_path):
    server = Server(tmp_path / "data").start()
    try:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="columns")
        for number in range(20):
            s3.put_object(Bucket="columns", Key="a/%d ü" % number, Body=b"1")
        try:
            s3.get_object(Bucket="columns", Key="nothing")
        except s3.exceptions.NoSuchKey:
            pass
        server.client("sts").get_caller_identity()
        server.stop()
        path = tmp_path / "events.parquet"
        server.command("audit", "export", "--format", "parquet", "--output", str(path))
        lines = server.command("audit", "export").stdout.splitlines()
        events = [json.loads(line) for line in lines]
        rows = pyarrow.parquet.read_table(path).to_pylist()
        assert [row["record"] for row in rows] == lines
        assert [row["sequence_number"] for row in rows] == list(range(1, len(lines) + 1))
        for row, event in zip(rows, events):
            identity = event["userIdentity"]
            at = datetime.datetime.strptime(event["eventTime"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
            assert row["event_time"] == at
            assert (row["event_id"], row["event_name"]) == (event["eventID"], event["eventName"])
            assert (row["event_source"], row["aws_region"]) == (event["eventSource"], event["awsRegion"])
            assert (row["user_arn"], row["user_type"]) == (identity.get("arn"), identity["type"])
            assert row["access_key_id"] == identity.get("accessKeyId")
            assert (row["error_code"], row["error_message"]) == (event.get("errorCode"), event.get("errorMessage"))
            assert (row["read_only"], row["request_id"]) == (event["readOnly"], event["requestID"])
            assert (row["source_ip_address"], row["user_agent"]) == (event["sourceIPAddress"], event["userAgent"])
            assert json.loads(row["request_parameters"] or "null") == event["requestParameters"]
            assert row["resource_arns"] == [r["ARN"] for r in event["resources"]]
            assert row["resource_types"] == [r["type"] for r in event["resources"]]
        asked = "SELECT count(*) FROM '%s' WHERE event_name = ? AND list_contains(resource_arns, ?)" % path
        arn = "arn:aws:s3:::columns/a/7 ü"
        assert duckdb.execute(asked, ["PutObject", arn]).fetchone() == (1,)
        failed = "SELECT event_name, error_code FROM '%s' WHERE error_code IS NOT NULL" % path
        assert duckdb.execute(failed).fetchall() == [("GetObject", "NoSuchKey")]
        server.command("audit", "export", "--format", "parquet", "--output", str(path), "--to", "2020-01-01T00:00:00Z")
        assert pyarrow.parquet.read_table(path).num_rows == 0
    finally:
        server.stop()
