//! Several servers on one store: each job is moved by one, and outlives its server with a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sightline_jobs::{JobId, JobView, Outcome};
use sightline_meta::MetaError;
use sightline_ports::Exit;
use sightline_testkit::scripted::ScriptedLauncher;
use sightline_testkit::store;

use crate::scripts::{doing, holding, id, idle, processing, reason, statuses, unused};
use crate::world::{World, soon};

/// The first of two servers with room for one job each; `None` where PostgreSQL is not installed.
async fn first(launcher: ScriptedLauncher) -> Option<World> {
    match World::shared(launcher).await {
        Ok(server) => Some(server),
        Err(reason) => {
            assert!(
                !store::is_postgres(),
                "this run is about PostgreSQL: {reason}"
            );
            eprintln!("skipped: {reason}");
            None
        }
    }
}

/// The job as `world` sees it once `reached` holds of it, while time goes by.
async fn until(world: &World, job: &JobId, reached: impl Fn(&JobView) -> bool) -> JobView {
    soon(async {
        loop {
            let view = world.describe(job).await;
            if reached(&view) {
                return view;
            }
            world.clock.advance(Duration::from_millis(100));
        }
    })
    .await
}

async fn ended(world: &World, job: &JobId) -> JobView {
    until(world, job, |view| view.outcome.is_some()).await
}

async fn change(world: &World, sql: &'static str) {
    let changed: Result<_, MetaError> = world.meta.write(move |tx| tx.execute(sql, &[])).await;
    assert_eq!(changed.unwrap(), 1, "{sql}");
}

/// As if server `a` had been silent for a whole lease, and `b` had lived for longer.
async fn lose_a(b: &World) {
    change(b, "UPDATE leases SET until = 0 WHERE name = 'server/a'").await;
    // It may not have renewed its own lease yet.
    let long = "INSERT INTO leases (name, holder, since, until, generation)
        VALUES ('server/b', 'b', 0, 9000000000000, 1) ON CONFLICT (name) DO UPDATE SET since = 0";
    change(b, long).await;
}

#[tokio::test]
async fn jobs_are_shared_and_none_runs_twice() {
    let started = Arc::new(AtomicUsize::new(0));
    let counting = || {
        let started = Arc::clone(&started);
        doing(move |_| {
            started.fetch_add(1, Ordering::Relaxed);
            Exit::Code(0)
        })
    };
    let Some(a) = first(counting()).await else {
        return;
    };
    let b = a.joined(counting()).await;
    let jobs: Vec<_> = (0..6).map(|n| processing(&format!("job-{n}"))).collect();
    for (number, job) in jobs.iter().enumerate() {
        let server = if number % 2 == 0 { &a } else { &b };
        server.create(job.clone()).await;
    }
    for job in &jobs {
        let view = ended(&b, &id(job)).await;
        assert_eq!(view.outcome, Some(Outcome::Completed));
        let begun = statuses(&view).iter().filter(|s| **s == "Starting").count();
        assert_eq!(begun, 1, "{}", job.name);
    }
    assert_eq!(started.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn a_stop_asked_of_one_server_reaches_the_job_at_the_other() {
    let (launcher, mut held) = holding();
    let Some(a) = first(launcher).await else {
        return;
    };
    let job = processing("job");
    a.create(job.clone()).await;
    held.next().await;
    let b = a.joined(unused()).await;
    b.stop(&id(&job)).await.unwrap();
    let view = ended(&b, &id(&job)).await;
    assert_eq!(view.outcome, Some(Outcome::Stopped));
}

#[tokio::test]
async fn jobs_of_a_lost_server_end_with_that_reason_and_waiting_ones_run_elsewhere() {
    let (launcher, mut held) = holding();
    let Some(a) = first(launcher).await else {
        return;
    };
    let running = processing("running");
    a.create(running.clone()).await;
    held.next().await;
    let b = a.joined(idle()).await;
    a.shut_down().await;

    // Nobody knows yet that the server is lost.
    let next = processing("next");
    b.create(next.clone()).await;
    let view = ended(&b, &id(&next)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    assert_eq!(b.describe(&id(&running)).await.outcome, None);

    lose_a(&b).await;
    let view = ended(&b, &id(&running)).await;
    assert!(reason(&view).contains("the server ended"), "{view:?}");
}

#[tokio::test]
async fn outputs_that_lay_with_a_lost_server_are_told_to_be_lost() {
    let (launcher, mut held) = holding();
    let Some(a) = first(launcher).await else {
        return;
    };
    let job = processing("job");
    a.create(job.clone()).await;
    held.next().await;
    let b = a.joined(unused()).await;
    a.shut_down().await;
    let collecting = "UPDATE jobs SET phase = 'collecting', outcome = '\"Completed\"'";
    change(&b, collecting).await;
    lose_a(&b).await;
    let view = ended(&b, &id(&job)).await;
    assert!(
        reason(&view).contains("before the job's outputs"),
        "{view:?}"
    );
}

#[tokio::test]
async fn a_server_that_was_late_lets_go_of_a_job_that_another_has_taken() {
    let (launcher, mut held) = holding();
    let Some(a) = first(launcher).await else {
        return;
    };
    let job = processing("job");
    a.create(job.clone()).await;
    held.next().await;
    let b = a.joined(unused()).await;
    change(&b, "UPDATE jobs SET server = 'c'").await;
    held.release();
    // Whatever `a` does with the end of the instance, the job is not its to end.
    for _ in 0..20 {
        a.clock.advance(Duration::from_secs(1));
        assert_eq!(b.describe(&id(&job)).await.outcome, None);
    }
}
