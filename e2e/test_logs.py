"""Logs as tailers read them: positions that hold, ends that are ends, nothing twice."""

import pytest
from botocore.exceptions import ClientError

from work import follow, process, processing_end

GROUP = "/aws/sagemaker/ProcessingJobs"


@pytest.fixture(scope="module")
def logged(server):
    """A job that wrote 250 numbered lines, and its one stream."""
    name = process(server, "for n in range(250):\n    print('line', n)")
    assert processing_end(server, name)["ProcessingJobStatus"] == "Completed"
    (stream,) = server.client("logs").describe_log_streams(
        logGroupName=GROUP, logStreamNamePrefix=name + "/"
    )["logStreams"]
    return name, stream


def numbered(events):
    return [e["message"] for e in events if e["message"].startswith("line ")]


@pytest.mark.parametrize("limit", [1000, 7, 1])
def test_following_the_token_reads_each_line_once(server, logged, limit):
    events = follow(server.client("logs"), GROUP, logged[1], limit=limit)
    assert numbered(events) == ["line %d" % n for n in range(250)]
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)


def test_the_token_at_the_end_comes_back_unchanged(server, logged):
    logs, stream = server.client("logs"), logged[1]["logStreamName"]
    page = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
    end = page["nextForwardToken"]
    for _ in range(3):
        page = logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True, nextToken=end
        )
        assert (page["events"], page["nextForwardToken"]) == ([], end)


def test_the_position_of_a_token_does_not_depend_on_a_start_time(server, logged):
    logs, stream = server.client("logs"), logged[1]["logStreamName"]
    whole = follow(logs, GROUP, logged[1])
    start = whole[len(whole) // 2]["timestamp"]
    wanted = [event for event in whole if event["timestamp"] >= start]
    assert follow(logs, GROUP, logged[1], limit=3, startTime=start) == wanted
    page = logs.get_log_events(
        logGroupName=GROUP, logStreamName=stream, startFromHead=True, startTime=start
    )
    full = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
    assert page["nextForwardToken"] == full["nextForwardToken"]


def test_the_tail_is_what_one_gets_without_asking_for_the_head(server, logged):
    page = server.client("logs").get_log_events(
        logGroupName=GROUP, logStreamName=logged[1]["logStreamName"], limit=5
    )
    whole = follow(server.client("logs"), GROUP, logged[1])
    assert page["events"] == whole[-5:]


def test_streams_of_a_job_come_without_a_token(server, logged):
    answer = server.client("logs").describe_log_streams(
        logGroupName=GROUP, logStreamNamePrefix=logged[0] + "/", orderBy="LogStreamName", limit=1
    )
    assert "nextToken" not in answer and len(answer["logStreams"]) == 1
    stream = answer["logStreams"][0]
    assert stream["firstEventTimestamp"] <= stream["lastEventTimestamp"]


def test_groups_are_listed_and_missing_ones_are_missing(server, logged):
    logs = server.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    assert GROUP in [group["logGroupName"] for group in groups]
    with pytest.raises(ClientError) as caught:
        logs.get_log_events(logGroupName="/nowhere", logStreamName="x")
    error = caught.value.response["Error"]
    assert error["Code"] == "ResourceNotFoundException"
    assert error["Message"] == "The specified log group does not exist."
