//! What a job is asked to do, in the terms that the engine acts on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sightline_meta::resource::Kind;
use sightline_types::{AccountId, Arn, Region};

/// The two kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobKind {
    /// Runs any program over inputs and keeps its outputs.
    Processing,
    /// Runs a training program and keeps the model it makes.
    Training,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Processing, Self::Training];

    /// Jobs of this kind in the resource table and in ARNs.
    #[must_use]
    pub fn resource_kind(self) -> Kind {
        match self {
            Self::Processing => Kind("processing-job"),
            Self::Training => Kind("training-job"),
        }
    }

    /// The type by which activity names jobs of this kind.
    #[must_use]
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::Processing => "AWS::SageMaker::ProcessingJob",
            Self::Training => "AWS::SageMaker::TrainingJob",
        }
    }

    /// The group that holds the log streams of jobs of this kind.
    #[must_use]
    pub fn log_group(self) -> &'static str {
        match self {
            Self::Processing => "/aws/sagemaker/ProcessingJobs",
            Self::Training => "/aws/sagemaker/TrainingJobs",
        }
    }

    /// The ARN of the job of this kind and name.
    #[must_use]
    pub fn arn(self, name: &str, region: &Region, account: &AccountId) -> Arn {
        let kind = self.resource_kind().0;
        Arn::new("sagemaker", region, account, &format!("{kind}/{name}"))
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.resource_kind().0
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The program that each instance runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// The image's own: `train`.
    OfImage,
    /// This program with these arguments; never empty.
    Command(Vec<String>),
}

/// Which part of an input an instance receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distribution {
    /// Every instance receives every object.
    FullyReplicated,
    /// Each object goes to one instance: the object at index `i` in the order of keys to
    /// instance `i mod n`. An instance may receive none.
    ShardedByKey,
}

/// Objects shown to the instances as files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The input's or channel's name.
    pub name: String,
    /// A prefix or an object: `s3://bucket/key`.
    pub uri: String,
    /// The directory inside.
    pub path: String,
    /// Who receives what.
    pub distribution: Distribution,
    /// The media type that a training channel declares.
    pub content_type: Option<String>,
}

/// A directory whose files become objects when the program has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The output's name.
    pub name: String,
    /// The prefix to store under: `s3://bucket/prefix`.
    pub uri: String,
    /// The directory inside.
    pub path: String,
}

/// A number to look for in what a training program prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricDefinition {
    /// The metric's name.
    pub name: String,
    /// A regular expression whose first group is the number.
    pub regex: String,
}

/// A job as the engine runs it. The whole request stands beside it, unread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What kind of job it is.
    pub kind: JobKind,
    /// Unique within its kind, for ever: 1 to 63 letters, digits and dashes.
    pub name: String,
    /// The image's URI, a key to an environment.
    pub image: String,
    /// The ARN of the role that the job acts as.
    pub role: String,
    /// What each instance runs.
    pub program: Program,
    /// Number of instances.
    pub instances: u32,
    /// Such as `ml.m5.xlarge`; decides the limits.
    pub instance_type: String,
    /// What the instances read.
    pub inputs: Vec<Input>,
    /// What they leave.
    pub outputs: Vec<Output>,
    /// Where a training job's artifacts go: the request's `S3OutputPath`, verbatim.
    pub artifact_path: Option<String>,
    /// The program's environment as the request gives it.
    pub variables: BTreeMap<String, String>,
    /// A training job's hyperparameters, as sent.
    pub hyperparameters: BTreeMap<String, String>,
    /// What to look for in the log.
    pub metrics: Vec<MetricDefinition>,
    /// How long the program may run, in seconds.
    pub runtime_s_max: u64,
    /// Whether the program must not even reach the server.
    pub network_isolation: bool,
}

impl JobSpec {
    /// How long the program may run.
    #[must_use]
    pub fn runtime_max(&self) -> Duration {
        Duration::from_secs(self.runtime_s_max)
    }

    /// The role's name without its path.
    pub(crate) fn role_name(&self) -> &str {
        self.role.rsplit('/').next().unwrap_or_default()
    }

    /// The archive that script mode unpacks, named by a JSON-encoded hyperparameter.
    pub(crate) fn source_archive(&self) -> Option<String> {
        let encoded = self.hyperparameters.get("sagemaker_submit_directory")?;
        let decoded = serde_json::from_str(encoded).unwrap_or_else(|_| encoded.clone());
        decoded.starts_with("s3://").then_some(decoded)
    }

    /// Where the model of a training job goes.
    #[must_use]
    pub fn model_uri(&self) -> Option<String> {
        self.artifact_uri("model.tar.gz")
    }

    /// Where a file beside the model goes.
    pub(crate) fn artifact_uri(&self, file: &str) -> Option<String> {
        let path = self.artifact_path.as_deref()?.trim_end_matches('/');
        Some(format!("{path}/{}/output/{file}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> JobSpec {
        JobSpec {
            kind: JobKind::Training,
            name: "Job-1".to_owned(),
            image: "image".to_owned(),
            role: "arn:aws:iam::123456789012:role/service-role/R".to_owned(),
            program: Program::OfImage,
            instances: 1,
            instance_type: "ml.m5.large".to_owned(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            artifact_path: Some("s3://b/".to_owned()),
            variables: BTreeMap::new(),
            hyperparameters: BTreeMap::from([(
                "sagemaker_submit_directory".to_owned(),
                "\"s3://b/source/sourcedir.tar.gz\"".to_owned(),
            )]),
            metrics: Vec::new(),
            runtime_s_max: 60,
            network_isolation: false,
        }
    }

    #[test]
    fn derived_names_are_those_of_aws() {
        let spec = spec();
        assert_eq!(spec.role_name(), "R");
        assert_eq!(
            spec.source_archive().as_deref(),
            Some("s3://b/source/sourcedir.tar.gz")
        );
        let model = spec.artifact_uri("model.tar.gz");
        assert_eq!(model.as_deref(), Some("s3://b/Job-1/output/model.tar.gz"));
        let account = "123456789012".parse().unwrap();
        let arn = spec
            .kind
            .arn(&spec.name, &"us-east-1".parse().unwrap(), &account);
        assert_eq!(
            arn.as_str(),
            "arn:aws:sagemaker:us-east-1:123456789012:training-job/Job-1"
        );
    }

    #[test]
    fn a_spec_survives_storage() {
        let stored = serde_json::to_string(&spec()).unwrap();
        assert_eq!(serde_json::from_str::<JobSpec>(&stored).unwrap(), spec());
    }
}
