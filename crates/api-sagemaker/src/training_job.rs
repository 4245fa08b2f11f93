//! Training jobs.

use std::sync::Arc;

use serde_json::{Value, json};
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_jobs::{
    CreateJob, Distribution, Input, JobId, JobKind, JobSpec, JobView, MetricDefinition, Program,
};
use sightline_meta::resource::Resource;
use sightline_types::Timestamp;

use crate::faults::{mismatch, of_job, validation};
use crate::list::{list_query, pairs};
use crate::processing_job::{failure_reason, merge};
use crate::unsupported::not_yet;
use crate::{App, model, unsupported};

/// How long a job may run when the request does not say, as AWS has it.
const RUNTIME_S_DEFAULT: i32 = 86_400;

/// What the model has and no engine does yet.
const UNSUPPORTED: &[&str] = &[
    "AlgorithmSpecification.AlgorithmName",
    "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries",
    "AlgorithmSpecification.TrainingImageConfig",
    "CheckpointConfig",
    "DebugRuleConfigurations",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "InfraCheckConfig.EnableInfraCheck",
    "InputDataConfig.CompressionType",
    "InputDataConfig.DataSource.DatasetSource",
    "InputDataConfig.DataSource.FileSystemDataSource",
    "InputDataConfig.DataSource.S3DataSource.AttributeNames",
    "InputDataConfig.DataSource.S3DataSource.HubAccessConfig",
    "InputDataConfig.DataSource.S3DataSource.InstanceGroupNames",
    "InputDataConfig.DataSource.S3DataSource.ModelAccessConfig",
    "InputDataConfig.RecordWrapperType",
    "InputDataConfig.ShuffleConfig",
    "MlflowConfig",
    "ModelPackageConfig",
    "OutputDataConfig.KmsKeyId",
    "ProfilerRuleConfigurations",
    "RemoteDebugConfig.EnableRemoteDebug",
    "ResourceConfig.InstanceGroups",
    "ResourceConfig.InstancePlacementConfig",
    "ResourceConfig.InstancePreferences",
    "ResourceConfig.KeepAlivePeriodInSeconds",
    "ResourceConfig.SelectedInstanceCount",
    "ResourceConfig.SelectedInstanceType",
    "ResourceConfig.TrainingPlanArn",
    "ResourceConfig.VolumeKmsKeyId",
    "RetryStrategy",
    "ServerlessJobConfig",
    "SessionChainingConfig.EnableSessionTagChaining",
    "StoppingCondition.MaxPendingTimeInSeconds",
    "StoppingCondition.MaxWaitTimeInSeconds",
    "TensorBoardOutputConfig",
    "VpcConfig",
];

/// What is kept and shown although nothing acts on it: the settings of the debugger and the
/// profiler, which clients send unasked and which change nothing about the job; the size of a
/// volume, because a job writes to the host's own disk; the experiment that a job is part of.
#[cfg(test)]
const KEPT: &[&str] = &[
    "DebugHookConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "ResourceConfig.VolumeSizeInGB",
];

/// What the engine acts on.
#[cfg(test)]
const ACTED_ON: &[&str] = &[
    "AlgorithmSpecification.ContainerArguments",
    "AlgorithmSpecification.ContainerEntrypoint",
    "AlgorithmSpecification.MetricDefinitions",
    "AlgorithmSpecification.TrainingImage",
    "AlgorithmSpecification.TrainingInputMode",
    "EnableNetworkIsolation",
    "Environment",
    "HyperParameters",
    "InputDataConfig.ChannelName",
    "InputDataConfig.ContentType",
    "InputDataConfig.DataSource.S3DataSource.S3DataDistributionType",
    "InputDataConfig.DataSource.S3DataSource.S3DataType",
    "InputDataConfig.DataSource.S3DataSource.S3Uri",
    "InputDataConfig.InputMode",
    "OutputDataConfig.CompressionType",
    "OutputDataConfig.S3OutputPath",
    "ResourceConfig.InstanceCount",
    "ResourceConfig.InstanceType",
    "RoleArn",
    "StoppingCondition.MaxRuntimeInSeconds",
    "Tags",
    "TrainingJobName",
];

pub(crate) async fn create(
    app: Arc<App>,
    permit: Permit,
    input: model::CreateTrainingJobInput,
) -> Result<model::CreateTrainingJobOutput, Fault> {
    let job = convert(input)?;
    let created = app.jobs.create(&permit, job).await;
    let arn = created.map_err(|error| of_job(&error))?;
    Ok(model::CreateTrainingJobOutput {
        training_job_arn: arn.to_string(),
    })
}

pub(crate) async fn describe(
    app: Arc<App>,
    permit: Permit,
    input: model::DescribeTrainingJobInput,
) -> Result<model::DescribeTrainingJobOutput, Fault> {
    let id = JobId {
        kind: JobKind::Training,
        name: input.training_job_name,
    };
    let found = app.jobs.describe(&permit, &id).await;
    description(found.map_err(|error| of_job(&error))?)
}

pub(crate) async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListTrainingJobsInput,
) -> Result<model::ListTrainingJobsOutput, Fault> {
    if input.warm_pool_status_equals.is_some() {
        return Err(not_yet("WarmPoolStatusEquals"));
    }
    if input.training_plan_arn_equals.is_some() {
        return Err(not_yet("TrainingPlanArnEquals"));
    }
    let query = list_query!(input);
    let listed = app.jobs.list(&permit, JobKind::Training, query).await;
    let page = listed.map_err(|error| of_job(&error))?;
    let summaries = page
        .items
        .into_iter()
        .map(summary)
        .collect::<Result<_, _>>()?;
    Ok(model::ListTrainingJobsOutput {
        training_job_summaries: summaries,
        next_token: page.next_token,
    })
}

pub(crate) async fn stop(
    app: Arc<App>,
    permit: Permit,
    input: model::StopTrainingJobInput,
) -> Result<(), Fault> {
    let id = JobId {
        kind: JobKind::Training,
        name: input.training_job_name,
    };
    app.jobs
        .stop(&permit, &id)
        .await
        .map_err(|error| of_job(&error))
}

fn convert(input: model::CreateTrainingJobInput) -> Result<CreateJob, Fault> {
    let document = serde_json::to_value(&input).map_err(|error| mismatch(&error))?;
    unsupported::refuse(&document, UNSUPPORTED)?;
    let required = |what: &str| validation(format!("{what} is required"));
    let algorithm = input
        .algorithm_specification
        .ok_or_else(|| required("AlgorithmSpecification"))?;
    if algorithm.training_input_mode != model::TrainingInputMode::File {
        return Err(not_yet("a TrainingInputMode other than File"));
    }
    if input.output_data_config.compression_type == Some(model::OutputCompressionType::None) {
        return Err(not_yet("CompressionType NONE"));
    }
    let resources = input
        .resource_config
        .ok_or_else(|| required("ResourceConfig"))?;
    let runtime = input
        .stopping_condition
        .and_then(|limit| limit.max_runtime_in_seconds);
    let channels = input.input_data_config.unwrap_or_default();
    let spec = JobSpec {
        kind: JobKind::Training,
        name: input.training_job_name,
        image: algorithm
            .training_image
            .ok_or_else(|| required("AlgorithmSpecification.TrainingImage"))?,
        role: input.role_arn,
        program: match algorithm.container_entrypoint {
            Some(entrypoint) => Program::Command(
                [
                    entrypoint,
                    algorithm.container_arguments.unwrap_or_default(),
                ]
                .concat(),
            ),
            None if algorithm.container_arguments.is_some() => {
                return Err(not_yet("ContainerArguments without ContainerEntrypoint"));
            }
            None => Program::OfImage,
        },
        instances: resources
            .instance_count
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| required("ResourceConfig.InstanceCount"))?,
        instance_type: resources
            .instance_type
            .ok_or_else(|| required("ResourceConfig.InstanceType"))?,
        inputs: channels
            .into_iter()
            .map(channel)
            .collect::<Result<_, _>>()?,
        outputs: Vec::new(),
        artifact_path: Some(input.output_data_config.s3_output_path),
        variables: input.environment.unwrap_or_default(),
        hyperparameters: input.hyper_parameters.unwrap_or_default(),
        metrics: metrics(algorithm.metric_definitions),
        runtime_s_max: u64::try_from(runtime.unwrap_or(RUNTIME_S_DEFAULT)).unwrap_or_default(),
        network_isolation: input.enable_network_isolation.unwrap_or(false),
    };
    Ok(CreateJob {
        spec,
        document,
        tags: pairs(input.tags),
    })
}

fn metrics(definitions: Option<Vec<model::MetricDefinition>>) -> Vec<MetricDefinition> {
    let definition = |metric: model::MetricDefinition| MetricDefinition {
        name: metric.name,
        regex: metric.regex,
    };
    definitions
        .unwrap_or_default()
        .into_iter()
        .map(definition)
        .collect()
}

fn channel(channel: model::Channel) -> Result<Input, Fault> {
    let name = channel.channel_name;
    let s3 = channel
        .data_source
        .s3_data_source
        .ok_or_else(|| validation(format!("S3DataSource of the channel {name:?} is required")))?;
    if s3.s3_data_type != model::S3DataType::S3Prefix {
        return Err(not_yet("an S3DataType other than S3Prefix"));
    }
    if channel
        .input_mode
        .is_some_and(|mode| mode != model::TrainingInputMode::File)
    {
        return Err(not_yet("an InputMode other than File"));
    }
    Ok(Input {
        path: format!("/opt/ml/input/data/{name}"),
        name,
        uri: s3.s3_uri,
        distribution: match s3.s3_data_distribution_type {
            Some(model::S3DataDistribution::ShardedByS3Key) => Distribution::ShardedByKey,
            Some(model::S3DataDistribution::FullyReplicated) | None => {
                Distribution::FullyReplicated
            }
        },
        content_type: channel.content_type,
    })
}

/// The request as it was, and beside it what has become of it.
fn description(view: JobView) -> Result<model::DescribeTrainingJobOutput, Fault> {
    let seconds = view.started_at.zip(view.ended_at).map(|(start, end)| {
        // AWS bills whole seconds, rounded up.
        end.since(start).as_millis().div_ceil(1_000).max(1)
    });
    let transitions: Vec<Value> = view
        .steps
        .iter()
        .map(|step| {
            json!({
                "Status": step.status,
                "StartTime": step.started_at,
                "EndTime": step.ended_at,
                "StatusMessage": step.message,
            })
        })
        .collect();
    let metrics: Vec<Value> = view
        .metrics
        .iter()
        .map(|point| {
            json!({ "MetricName": point.metric, "Value": point.value, "Timestamp": point.at })
        })
        .collect();
    let resource = view.resource;
    let mut document = resource.document;
    // `SKLearn.attach` indexes this member.
    if document["OutputDataConfig"]["KmsKeyId"].is_null() {
        document["OutputDataConfig"]["KmsKeyId"] = json!("");
    }
    for flag in [
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
    ] {
        if document[flag].is_null() {
            document[flag] = json!(false);
        }
    }
    let waiting = json!("Pending");
    let computed = json!({
        "TrainingJobArn": resource.arn.as_str(),
        "TrainingJobStatus": resource.status,
        "SecondaryStatus": transitions.last().map_or(&waiting, |step| &step["Status"]),
        "SecondaryStatusTransitions": transitions,
        // The model demands the member; there is nothing to name before the model is stored.
        "ModelArtifacts": { "S3ModelArtifacts": view.artifact_uri.unwrap_or_default() },
        "CreationTime": resource.created_at,
        "LastModifiedTime": resource.modified_at,
        "TrainingStartTime": view.started_at,
        "TrainingEndTime": view.ended_at,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
        "FinalMetricDataList": (!metrics.is_empty()).then_some(metrics),
        "FailureReason": failure_reason(view.outcome),
        "StoppingCondition": { "MaxRuntimeInSeconds": view.spec.runtime_s_max },
    });
    merge(&mut document, computed);
    serde_json::from_value(document).map_err(|error| mismatch(&error))
}

fn summary(
    (resource, ended_at): (Resource, Option<Timestamp>),
) -> Result<model::TrainingJobSummary, Fault> {
    serde_json::from_value(json!({
        "TrainingJobName": resource.name,
        "TrainingJobArn": resource.arn.as_str(),
        "CreationTime": resource.created_at,
        "TrainingEndTime": ended_at,
        "LastModifiedTime": resource.modified_at,
        "TrainingJobStatus": resource.status,
    }))
    .map_err(|error| mismatch(&error))
}

#[cfg(test)]
mod tests {
    use sightline_wire::OperationType as _;

    use super::*;

    #[test]
    fn every_member_of_a_request_is_acted_on_kept_or_refused() {
        let input = model::CreateTrainingJob::OPERATION.input;
        unsupported::assert_each_is_in_one(input, &[ACTED_ON, KEPT, UNSUPPORTED]);
    }
}
