//! The suite that every launcher must pass, on the sandbox.

use sightline_testkit::launcher::{self as suite, Site};

use crate::rig::Rig;

/// One test for each promise.
macro_rules! promises {
    ($($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let rig = Rig::new();
            let site = Site { environment: rig.environment(), root: rig.path("job") };
            suite::$name(&rig.launcher, &site).await;
        }
    )*};
}

promises! {
    mounts_are_seen_as_given,
    instances_differ_by_name,
    lines_arrive_in_order,
    lines_arrive_at_once,
    exits_are_reported_each_once,
    a_missing_program_is_127,
    a_request_to_end_reaches_the_program,
    an_early_request_to_end_is_not_lost,
    a_kill_leaves_no_process,
    memory_is_bounded,
    no_network_is_reached,
    jobs_run_side_by_side,
}
