//! Logs as tailers read them, over a real store.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

use std::sync::Arc;

use sightline_identity::{Identity, Permit};
use sightline_ports::{Clock, SystemClock};
use sightline_telemetry::{
    Direction, Error, EventsPage, EventsQuery, LogLine, Start, StreamOrder, StreamsQuery, Telemetry,
};
use sightline_types::{Arn, Cx, OperationName, Recorded, RequestId, Timestamp};

const GROUP: &str = "/aws/sagemaker/TrainingJobs";

struct Bed {
    identity: Identity,
    telemetry: Telemetry,
    cx: Arc<Cx>,
    _dir: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let meta = sightline_testkit::store::open(dir.path());
        let clock = Arc::new(SystemClock);
        let region = "us-east-1".parse().unwrap();
        let secret_key = dir.path().join("secret.key");
        let identity = Identity::open(meta.clone(), region, &secret_key, clock.now());
        let identity = identity.await.unwrap();
        let cx = Arc::new(Cx {
            request_id: RequestId::random(),
            received_at: clock.now(),
            account: identity.account().clone(),
            region: identity.region().clone(),
            caller: identity.root_key().await.unwrap().caller.clone(),
            source: "127.0.0.1".to_owned(),
            tls: None,
            signed: None,
            user_agent: String::new(),
            operation: OperationName {
                source: "logs",
                name: "Test",
                read_only: true,
            },
            parameters: None,
            recorded: Recorded::default(),
        });
        Self {
            telemetry: Telemetry::new(meta, clock),
            identity,
            cx,
            _dir: dir,
        }
    }

    fn permit(&self, action: &'static str) -> Permit {
        self.identity
            .permit(&self.cx, action, Arn::s3("any", None))
            .unwrap()
    }

    async fn print(&self, stream: &str, lines: &[(i64, &str)]) {
        let permit = self.permit("logs:PutLogEvents");
        let writer = self.telemetry.writer(&permit, GROUP, stream).await.unwrap();
        for (at, text) in lines {
            let at = Timestamp::from_millis(*at);
            writer
                .line(LogLine {
                    at,
                    text: (*text).to_owned(),
                })
                .await;
        }
        writer.close().await;
    }

    async fn read(&self, start: Start, from: Option<i64>, limit: u32) -> EventsPage {
        let wanted = EventsQuery {
            group: GROUP.to_owned(),
            stream: "job/algo-1-1".to_owned(),
            start,
            from: from.map(Timestamp::from_millis),
            until: None,
            limit,
        };
        self.telemetry
            .events(&self.permit("logs:GetLogEvents"), wanted)
            .await
            .unwrap()
    }
}

fn texts(page: &EventsPage) -> Vec<&str> {
    page.events
        .iter()
        .map(|event| event.message.as_str())
        .collect()
}

#[tokio::test]
async fn a_tail_sees_each_line_once_and_its_token_rests_at_the_end() {
    let bed = Bed::new().await;
    bed.print("job/algo-1-1", &[(10, "a"), (10, "b"), (11, "c")])
        .await;
    let head = Start::End(Direction::FromHead);
    let first = bed.read(head, None, 2).await;
    assert_eq!(texts(&first), ["a", "b"]);
    let second = bed.read(Start::Token(first.forward_token), None, 2).await;
    assert_eq!(texts(&second), ["c"]);
    let end = bed
        .read(Start::Token(second.forward_token.clone()), None, 2)
        .await;
    assert!(end.events.is_empty());
    assert_eq!(end.forward_token, second.forward_token);
    bed.print("job/algo-1-1", &[(12, "d")]).await;
    let more = bed.read(Start::Token(end.forward_token), None, 2).await;
    assert_eq!(texts(&more), ["d"]);
}

#[tokio::test]
async fn a_token_is_a_position_whatever_start_time_comes_with_it() {
    let bed = Bed::new().await;
    bed.print("job/algo-1-1", &[(10, "a"), (20, "b"), (30, "c")])
        .await;
    let page = bed
        .read(Start::End(Direction::FromHead), Some(20), 10)
        .await;
    assert_eq!(texts(&page), ["b", "c"]);
    let end = bed
        .read(Start::Token(page.forward_token.clone()), Some(20), 10)
        .await;
    assert_eq!(
        (end.events.len(), &end.forward_token),
        (0, &page.forward_token)
    );
    let later = bed
        .read(Start::End(Direction::FromHead), Some(99), 10)
        .await;
    assert_eq!(
        (later.events.len(), &later.forward_token),
        (0, &page.forward_token)
    );
}

#[tokio::test]
async fn reading_back_from_the_tail_gives_lines_in_printed_order() {
    let bed = Bed::new().await;
    bed.print("job/algo-1-1", &[(1, "a"), (2, "b"), (3, "c")])
        .await;
    let tail = bed.read(Start::End(Direction::FromTail), None, 2).await;
    assert_eq!(texts(&tail), ["b", "c"]);
    let before = bed.read(Start::Token(tail.backward_token), None, 2).await;
    assert_eq!(texts(&before), ["a"]);
}

#[tokio::test]
async fn times_never_run_backwards_within_a_stream() {
    let bed = Bed::new().await;
    bed.print("job/algo-1-1", &[(30, "a"), (10, "b")]).await;
    bed.print("job/algo-1-1", &[(20, "c")]).await;
    let page = bed
        .read(Start::End(Direction::FromHead), Some(30), 10)
        .await;
    assert_eq!(texts(&page), ["a", "b", "c"]);
    assert!(
        page.events
            .iter()
            .all(|event| event.at == Timestamp::from_millis(30))
    );
}

#[tokio::test]
async fn missing_groups_streams_and_tokens_are_told_apart() {
    let bed = Bed::new().await;
    let permit = bed.permit("logs:GetLogEvents");
    let query = |stream: &str, start: Start| EventsQuery {
        group: GROUP.to_owned(),
        stream: stream.to_owned(),
        start,
        from: None,
        until: None,
        limit: 1,
    };
    let head = Start::End(Direction::FromHead);
    let none = bed
        .telemetry
        .events(&permit, query("x", head.clone()))
        .await;
    assert!(matches!(none, Err(Error::GroupNotFound(_))));
    bed.print("job/algo-1-1", &[(1, "a")]).await;
    let none = bed.telemetry.events(&permit, query("x", head)).await;
    assert!(matches!(none, Err(Error::StreamNotFound { .. })));
    for token in ["", "f", "f/", "x/1", "f/-1", "f/1a"] {
        let start = Start::Token(token.to_owned());
        let none = bed
            .telemetry
            .events(&permit, query("job/algo-1-1", start))
            .await;
        assert!(matches!(none, Err(Error::InvalidToken)), "{token}");
    }
}

#[tokio::test]
async fn streams_of_a_job_come_whole_and_others_by_the_page() {
    let bed = Bed::new().await;
    for stream in ["job/algo-1-1", "job/algo-2-1", "job2/algo-1-1"] {
        bed.print(stream, &[(1, "a")]).await;
    }
    let query = |prefix: &str, token: Option<String>| StreamsQuery {
        group: GROUP.to_owned(),
        prefix: prefix.to_owned(),
        order: StreamOrder::Name,
        descending: false,
        limit: 1,
        token,
    };
    let permit = bed.permit("logs:DescribeLogStreams");
    let job = bed
        .telemetry
        .streams(&permit, query("job/", None))
        .await
        .unwrap();
    assert_eq!(job.items.len(), 2);
    assert!(job.next_token.is_none());
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = bed
            .telemetry
            .streams(&permit, query("job", token))
            .await
            .unwrap();
        assert_eq!(page.items.len(), 1);
        names.extend(page.items.into_iter().map(|stream| stream.name));
        match page.next_token {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    assert_eq!(names, ["job/algo-1-1", "job/algo-2-1", "job2/algo-1-1"]);
    let groups = bed
        .telemetry
        .groups(&bed.permit("logs:DescribeLogGroups"), "/aws/", "", 50)
        .await;
    let groups = groups.unwrap();
    assert_eq!((groups.items.len(), groups.items[0].stored_bytes), (1, 3));
}

#[tokio::test]
async fn long_lines_come_by_the_megabyte_and_none_is_lost() {
    let bed = Bed::new().await;
    let long = "x".repeat(250_000);
    let lines: Vec<(i64, &str)> = (0..60)
        .map(|n| (n, if n % 2 == 0 { "short" } else { &long }))
        .collect();
    bed.print("job/algo-1-1", &lines).await;
    let mut read = 0;
    let mut start = Start::End(Direction::FromHead);
    loop {
        let page = bed.read(start.clone(), None, 10_000).await;
        let bytes: usize = page.events.iter().map(|event| event.message.len()).sum();
        assert!(bytes <= 1_048_576, "{bytes}");
        read += page.events.len();
        if page.events.is_empty() {
            break;
        }
        start = Start::Token(page.forward_token);
    }
    assert_eq!(read, 60);
    let tail = bed
        .read(Start::End(Direction::FromTail), None, 10_000)
        .await;
    assert_eq!(tail.events.last().map(|event| event.at.millis()), Some(59));
    assert_eq!(tail.events.len(), 8);
}
