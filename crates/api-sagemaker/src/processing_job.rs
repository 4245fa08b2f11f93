//! Processing jobs.

use std::sync::Arc;

use serde_json::{Value, json};
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_jobs::{
    CreateJob, Distribution, Input, JobId, JobKind, JobSpec, JobView, Outcome, Output, Program,
};
use sightline_meta::resource::Resource;
use sightline_types::Timestamp;

use crate::faults::{mismatch, of_job, validation};
use crate::list::{list_query, pairs};
use crate::unsupported::not_yet;
use crate::{App, model, unsupported};

/// How long a job may run when the request does not say, as AWS has it.
const RUNTIME_S_DEFAULT: i32 = 86_400;

/// What the model has and no engine does yet.
const UNSUPPORTED: &[&str] = &[
    "ProcessingInputs.AppManaged",
    "ProcessingInputs.DatasetDefinition",
    "ProcessingInputs.S3Input.S3CompressionType",
    "ProcessingOutputConfig.KmsKeyId",
    "ProcessingOutputConfig.Outputs.AppManaged",
    "ProcessingOutputConfig.Outputs.FeatureStoreOutput",
    "ProcessingResources.ClusterConfig.InstancePreferences",
    "ProcessingResources.ClusterConfig.SelectedInstanceType",
    "ProcessingResources.ClusterConfig.SelectedInstanceCount",
    "ProcessingResources.ClusterConfig.VolumeKmsKeyId",
    "NetworkConfig.EnableInterContainerTrafficEncryption",
    "NetworkConfig.VpcConfig",
];

/// What is kept and shown although nothing acts on it: the size of a volume, because a job writes
/// to the host's own disk, and the experiment that a job is part of.
#[cfg(test)]
const KEPT: &[&str] = &[
    "ExperimentConfig",
    "ProcessingResources.ClusterConfig.VolumeSizeInGB",
];

/// What the engine acts on.
#[cfg(test)]
const ACTED_ON: &[&str] = &[
    "AppSpecification",
    "Environment",
    "NetworkConfig.EnableNetworkIsolation",
    "ProcessingInputs.InputName",
    "ProcessingInputs.S3Input.LocalPath",
    "ProcessingInputs.S3Input.S3DataDistributionType",
    "ProcessingInputs.S3Input.S3DataType",
    "ProcessingInputs.S3Input.S3InputMode",
    "ProcessingInputs.S3Input.S3Uri",
    "ProcessingJobName",
    "ProcessingOutputConfig.Outputs.OutputName",
    "ProcessingOutputConfig.Outputs.S3Output",
    "ProcessingResources.ClusterConfig.InstanceCount",
    "ProcessingResources.ClusterConfig.InstanceType",
    "RoleArn",
    "StoppingCondition",
    "Tags",
];

pub(crate) async fn create(
    app: Arc<App>,
    permit: Permit,
    input: model::CreateProcessingJobInput,
) -> Result<model::CreateProcessingJobOutput, Fault> {
    let job = convert(input)?;
    let created = app.jobs.create(&permit, job).await;
    let arn = created.map_err(|error| of_job(&error))?;
    Ok(model::CreateProcessingJobOutput {
        processing_job_arn: arn.to_string(),
    })
}

pub(crate) async fn describe(
    app: Arc<App>,
    permit: Permit,
    input: model::DescribeProcessingJobInput,
) -> Result<model::DescribeProcessingJobOutput, Fault> {
    let id = JobId {
        kind: JobKind::Processing,
        name: input.processing_job_name,
    };
    let found = app.jobs.describe(&permit, &id).await;
    description(found.map_err(|error| of_job(&error))?)
}

pub(crate) async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListProcessingJobsInput,
) -> Result<model::ListProcessingJobsOutput, Fault> {
    let query = list_query!(input);
    let listed = app.jobs.list(&permit, JobKind::Processing, query).await;
    let page = listed.map_err(|error| of_job(&error))?;
    let summaries = page
        .items
        .into_iter()
        .map(summary)
        .collect::<Result<_, _>>()?;
    Ok(model::ListProcessingJobsOutput {
        processing_job_summaries: summaries,
        next_token: page.next_token,
    })
}

pub(crate) async fn stop(
    app: Arc<App>,
    permit: Permit,
    input: model::StopProcessingJobInput,
) -> Result<(), Fault> {
    let id = JobId {
        kind: JobKind::Processing,
        name: input.processing_job_name,
    };
    app.jobs
        .stop(&permit, &id)
        .await
        .map_err(|error| of_job(&error))
}

fn convert(input: model::CreateProcessingJobInput) -> Result<CreateJob, Fault> {
    let document = serde_json::to_value(&input).map_err(|error| mismatch(&error))?;
    unsupported::refuse(&document, UNSUPPORTED)?;
    let cluster = input.processing_resources.cluster_config;
    let words = [
        input
            .app_specification
            .container_entrypoint
            .unwrap_or_default(),
        input
            .app_specification
            .container_arguments
            .unwrap_or_default(),
    ];
    let outputs = input
        .processing_output_config
        .map(|config| config.outputs)
        .unwrap_or_default();
    let runtime = input
        .stopping_condition
        .map(|limit| limit.max_runtime_in_seconds);
    let spec = JobSpec {
        kind: JobKind::Processing,
        name: input.processing_job_name,
        image: input.app_specification.image_uri,
        role: input.role_arn,
        program: Program::Command(words.concat()),
        instances: cluster
            .instance_count
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| validation("ClusterConfig.InstanceCount is required"))?,
        instance_type: cluster
            .instance_type
            .ok_or_else(|| validation("ClusterConfig.InstanceType is required"))?,
        inputs: input
            .processing_inputs
            .unwrap_or_default()
            .into_iter()
            .map(input_of)
            .collect::<Result<_, _>>()?,
        outputs: outputs
            .into_iter()
            .map(output_of)
            .collect::<Result<_, _>>()?,
        artifact_path: None,
        variables: input.environment.unwrap_or_default(),
        hyperparameters: std::collections::BTreeMap::new(),
        metrics: Vec::new(),
        runtime_s_max: u64::try_from(runtime.unwrap_or(RUNTIME_S_DEFAULT)).unwrap_or_default(),
        network_isolation: input
            .network_config
            .and_then(|network| network.enable_network_isolation)
            .unwrap_or(false),
    };
    Ok(CreateJob {
        spec,
        document,
        tags: pairs(input.tags),
    })
}

fn input_of(input: model::ProcessingInput) -> Result<Input, Fault> {
    let name = input.input_name;
    let missing = |what: &str| validation(format!("{what} of the input {name:?} is required"));
    let s3 = input.s3_input.ok_or_else(|| missing("S3Input"))?;
    if s3.s3_data_type != model::ProcessingS3DataType::S3Prefix {
        return Err(not_yet("S3DataType ManifestFile"));
    }
    if matches!(s3.s3_input_mode, Some(model::ProcessingS3InputMode::Pipe)) {
        return Err(not_yet("S3InputMode Pipe"));
    }
    let path = s3.local_path.ok_or_else(|| missing("S3Input.LocalPath"))?;
    use model::ProcessingS3DataDistributionType as Wire;
    Ok(Input {
        name,
        uri: s3.s3_uri,
        path,
        distribution: match s3.s3_data_distribution_type {
            Some(Wire::ShardedByS3Key) => Distribution::ShardedByKey,
            Some(Wire::FullyReplicated) | None => Distribution::FullyReplicated,
        },
        content_type: None,
    })
}

fn output_of(output: model::ProcessingOutput) -> Result<Output, Fault> {
    let name = output.output_name;
    let missing = |what: &str| validation(format!("{what} of the output {name:?} is required"));
    let s3 = output.s3_output.ok_or_else(|| missing("S3Output"))?;
    if s3.s3_upload_mode == model::ProcessingS3UploadMode::Continuous {
        return Err(not_yet("S3UploadMode Continuous"));
    }
    let path = s3.local_path.ok_or_else(|| missing("S3Output.LocalPath"))?;
    Ok(Output {
        name,
        uri: s3.s3_uri,
        path,
    })
}

/// The request as it was, and beside it what has become of it.
fn description(view: JobView) -> Result<model::DescribeProcessingJobOutput, Fault> {
    let JobView {
        resource,
        outcome,
        started_at,
        ended_at,
        exit_message,
        spec,
        ..
    } = view;
    let mut document = resource.document;
    let computed = json!({
        "ProcessingJobArn": resource.arn.as_str(),
        "ProcessingJobStatus": resource.status,
        "CreationTime": resource.created_at,
        "LastModifiedTime": resource.modified_at,
        "ProcessingStartTime": started_at,
        "ProcessingEndTime": ended_at,
        "ExitMessage": exit_message,
        "FailureReason": failure_reason(outcome),
        "StoppingCondition": { "MaxRuntimeInSeconds": spec.runtime_s_max },
    });
    merge(&mut document, computed);
    serde_json::from_value(document).map_err(|error| mismatch(&error))
}

/// Puts the members of `computed` into `document`; nothing replaces nothing.
pub(crate) fn merge(document: &mut Value, computed: Value) {
    if let Value::Object(members) = computed {
        for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
            document[name] = value;
        }
    }
}

pub(crate) fn failure_reason(outcome: Option<Outcome>) -> Option<String> {
    match outcome {
        Some(Outcome::Failed(reason)) => Some(reason),
        Some(Outcome::Completed | Outcome::Stopped | Outcome::TimedOut) | None => None,
    }
}

fn summary(
    (resource, ended_at): (Resource, Option<Timestamp>),
) -> Result<model::ProcessingJobSummary, Fault> {
    serde_json::from_value(json!({
        "ProcessingJobName": resource.name,
        "ProcessingJobArn": resource.arn.as_str(),
        "CreationTime": resource.created_at,
        "ProcessingEndTime": ended_at,
        "LastModifiedTime": resource.modified_at,
        "ProcessingJobStatus": resource.status,
    }))
    .map_err(|error| mismatch(&error))
}

#[cfg(test)]
mod tests {
    use sightline_wire::OperationType as _;

    use super::*;

    #[test]
    fn every_member_of_a_request_is_acted_on_kept_or_refused() {
        let input = model::CreateProcessingJob::OPERATION.input;
        unsupported::assert_each_is_in_one(input, &[ACTED_ON, KEPT, UNSUPPORTED]);
    }
}
