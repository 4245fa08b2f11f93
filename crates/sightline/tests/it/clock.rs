//! A time of day that jumps, forwards and backwards, under a running server.

use std::time::Duration;

use http::Method;
use serde_json::json;
use sightline_ports::{Clock as _, SystemClock};
use sightline_proof::{Ask, MovedClock};

use crate::rig::{Rig, Running};

const HOURS: i64 = 3_600;

fn list(running: &Running) -> Ask {
    Ask::s3(Method::GET, format!("/{}", running.server.default_bucket))
}

/// Signatures are judged by the clock as it is, and the record goes on without a gap.
fn jump(seconds: i64) {
    let mut rig = Rig::new();
    let clock = MovedClock::of(&mut rig.launch, rig.folder.path()).unwrap();
    let mut running = rig.start();
    assert_eq!(running.put("before", b"before").status, 200);
    let role = running.client.role().unwrap();
    clock.move_to(seconds).unwrap();
    let real = SystemClock.now();
    let moved = sightline_types::Timestamp::from_millis(real.millis() + seconds * 1_000);
    let ask = list(&running);
    let skewed = running.client.send_at(&ask, real).unwrap();
    assert_eq!(
        (skewed.status, skewed.code()),
        (403, "RequestTimeTooSkewed".to_owned())
    );
    let answer = running.client.send_at(&ask, moved).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let put = format!("/{}/after", running.server.default_bucket);
    let ask = Ask::s3(Method::PUT, put).body("after");
    assert_eq!(running.client.send_at(&ask, moved).unwrap().status, 200);
    // A job that is asked for after the jump ends as any other.
    let document = json!({
        "ProcessingJobName": "after-the-jump",
        "RoleArn": role,
        "AppSpecification": { "ImageUri": "registry.example/no:1", "ContainerEntrypoint": ["x"] },
        "ProcessingResources": { "ClusterConfig": {
            "InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1,
        } },
    });
    let create = Ask::json("sagemaker", "SageMaker.CreateProcessingJob", &document);
    let answer = running.client.send_at(&create, moved).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let document = json!({ "ProcessingJobName": "after-the-jump" });
    let describe = Ask::json("sagemaker", "SageMaker.DescribeProcessingJob", &document);
    let ended = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let answer = running.client.send_at(&describe, moved).unwrap();
        answer.json()["ProcessingJobStatus"] == "Failed"
    });
    assert!(ended, "the job did not end");
    let job = running.client.send_at(&describe, moved).unwrap().json();
    let time = |name: &str| job[name].as_f64().unwrap_or_default();
    assert!(time("CreationTime") <= time("ProcessingEndTime"), "{job}");
    let way = if 0 < seconds { "forward" } else { "back" };
    let told = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        running
            .server
            .said()
            .contains(&format!("the time of day jumped {way}"))
    });
    assert!(told, "the log does not say that the clock jumped");
    clock.move_to(0).unwrap();
    let mut running = running.again(&rig);
    running.assert_kept();
    assert_eq!(running.get("after").body, b"after");
    let events = running.events(&crate::rig::named("CreateProcessingJob"));
    assert_eq!(events.len(), 1, "{events:?}");
}

#[test]
fn a_clock_that_jumps_forward_is_survived() {
    jump(5 * HOURS);
}

#[test]
fn a_clock_that_jumps_back_is_survived() {
    jump(-5 * HOURS);
}
