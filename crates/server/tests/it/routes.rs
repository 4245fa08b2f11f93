//! The table of every operation that the server has.

use serde_json::json;
use sightline_wire::resolve_resource;

use crate::world::World;

/// The services and the prefixes of their permissions.
const SERVICES: [&str; 6] = ["cloudtrail", "iam", "logs", "s3", "sagemaker", "sts"];

#[tokio::test]
async fn every_operation_has_a_handler_a_permission_and_a_resource() {
    let world = World::new().await;
    let services = world.assembly.front.services();
    let mut names: Vec<_> = services.iter().map(|on| on.service().name).collect();
    names.sort_unstable();
    assert_eq!(names, SERVICES);
    let mut walked = 0;
    for on in services {
        let service = on.service();
        assert_eq!(on.without_handler(), [""; 0], "{}", service.name);
        for operation in service.operations {
            let name = operation.name;
            let (prefix, permission) = operation.action.split_once(':').unwrap();
            assert_eq!(prefix, service.name, "{name}");
            assert!(
                permission.chars().all(|c| c.is_ascii_alphanumeric()),
                "{name}"
            );
            assert!(!permission.is_empty(), "{name}");
            assert!(!operation.resources.is_empty(), "{name} names no resource");
            assert!(service.unserved(name).is_none(), "{name} is served and not");
            walked += 1;
        }
    }
    assert!(25 < walked, "the tables must not be empty: {walked}");
}

#[tokio::test]
async fn what_only_reads_is_named_so() {
    let world = World::new().await;
    for on in world.assembly.front.services() {
        for operation in on.service().operations {
            let reads = ["Get", "Head", "List", "Describe", "Lookup", "Simulate"]
                .iter()
                .any(|verb| operation.name.starts_with(verb));
            assert_eq!(operation.read_only, reads, "{}", operation.name);
        }
    }
}

/// A resource that is `*` for want of a member would permit more than was meant.
#[tokio::test]
async fn a_job_is_permitted_by_its_own_name() {
    let world = World::new().await;
    let identity = &world.assembly.identity;
    let services = world.assembly.front.services();
    let sagemaker = services
        .iter()
        .find(|on| on.service().name == "sagemaker")
        .unwrap();
    for (name, member, kind) in [
        ("DescribeTrainingJob", "TrainingJobName", "training-job"),
        ("StopProcessingJob", "ProcessingJobName", "processing-job"),
    ] {
        let operation = sagemaker.service().operation(name).unwrap();
        let document = json!({ member: "job" });
        let resource =
            resolve_resource(operation, &document, identity.region(), identity.account());
        let expected = format!(
            "arn:aws:sagemaker:us-east-1:{}:{kind}/job",
            identity.account()
        );
        assert_eq!(resource.unwrap().as_str(), expected);
    }
}
