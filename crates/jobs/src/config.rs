//! The configuration files that programs find under `/opt/ml`, as AWS's containers do.
//!
//! Their names and keys are the container contract: "How Amazon SageMaker AI Provides Training
//! Information" and "How Amazon SageMaker AI Runs Your Processing Container" in AWS's guide.

use serde_json::{Value, json};
use sightline_ports::HostName;
use sightline_types::Arn;

use crate::{Distribution, JobKind, JobSpec};

/// The group that instances belong to when a job does not name groups.
const INSTANCE_GROUP: &str = "homogeneousCluster";

/// The configuration files of one instance, by name.
pub(crate) fn files(
    spec: &JobSpec,
    document: &Value,
    arn: &Arn,
    host: &HostName,
) -> Vec<(&'static str, Value)> {
    match spec.kind {
        JobKind::Processing => vec![
            ("processingjobconfig.json", processing_job(document, arn)),
            ("resourceconfig.json", processing_resources(spec, host)),
        ],
        JobKind::Training => vec![
            ("hyperparameters.json", json!(spec.hyperparameters)),
            ("inputdataconfig.json", channels(spec)),
            ("resourceconfig.json", training_resources(spec, host)),
        ],
    }
}

fn hosts(spec: &JobSpec) -> Vec<String> {
    let mut hosts: Vec<String> = (1..=spec.instances)
        .map(|number| HostName::numbered(number).to_string())
        .collect();
    hosts.sort();
    hosts
}

fn processing_job(document: &Value, arn: &Arn) -> Value {
    let mut config = document.clone();
    config["ProcessingJobArn"] = json!(arn.as_str());
    config
}

fn processing_resources(spec: &JobSpec, host: &HostName) -> Value {
    json!({ "current_host": host.to_string(), "hosts": hosts(spec) })
}

fn training_resources(spec: &JobSpec, host: &HostName) -> Value {
    let hosts = hosts(spec);
    json!({
        "current_host": host.to_string(),
        "current_instance_type": spec.instance_type,
        "current_group_name": INSTANCE_GROUP,
        "current_instance_group": INSTANCE_GROUP,
        "hosts": hosts,
        "instance_groups": [{
            "instance_group_name": INSTANCE_GROUP,
            "instance_type": spec.instance_type,
            "hosts": hosts,
        }],
        "network_interface_name": "lo",
    })
}

fn channels(spec: &JobSpec) -> Value {
    let channel = |input: &crate::Input| {
        let distribution = match input.distribution {
            Distribution::FullyReplicated => "FullyReplicated",
            Distribution::ShardedByKey => "ShardedByS3Key",
        };
        let mut channel = json!({
            "TrainingInputMode": "File",
            "S3DistributionType": distribution,
            "RecordWrapperType": "None",
        });
        if let Some(content_type) = &input.content_type {
            channel["ContentType"] = json!(content_type);
        }
        (input.name.clone(), channel)
    };
    spec.inputs.iter().map(channel).collect()
}
