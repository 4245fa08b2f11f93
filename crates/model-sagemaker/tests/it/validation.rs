//! What a broken request is told, in AWS's words.

use serde_json::{Value, json};
use sightline_model_sagemaker::{
    AddTags, CreateProcessingJob, CreateTrainingJob, ListTags, ListTrainingJobs,
};
use sightline_wire::{OperationType, validate};

const NAME_PATTERN: &str = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}";

fn processing_job() -> Value {
    json!({
        "ProcessingJobName": "job-1",
        "RoleArn": "arn:aws:iam::123456789012:role/SightlineExecution",
        "AppSpecification": { "ImageUri": "repository:tag" },
        "ProcessingResources": { "ClusterConfig": {
            "InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30,
        } },
    })
}

/// Checks a processing job with one value replaced: its message must be this.
#[track_caller]
fn check(pointer: &str, value: Value, expected: &str) {
    let mut document = processing_job();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[name] = value;
    let error = validate(CreateProcessingJob::OPERATION.input, &document).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_good_job_is_accepted() {
    assert_eq!(
        validate(CreateProcessingJob::OPERATION.input, &processing_job()),
        Ok(())
    );
}

#[test]
fn one_violation_is_told_in_the_singular() {
    check(
        "/ProcessingJobName",
        json!("a b"),
        &format!(
            "1 validation error detected: Value 'a b' at 'processingJobName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: {NAME_PATTERN}"
        ),
    );
    check(
        "/ProcessingResources/ClusterConfig/InstanceCount",
        json!(101),
        "1 validation error detected: Value '101' at \
         'processingResources.clusterConfig.instanceCount' failed to satisfy constraint: Member \
         must have value less than or equal to 100",
    );
    check(
        "/RoleArn",
        Value::Null,
        "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: \
         Member must not be null",
    );
}

#[test]
fn several_violations_are_told_in_the_plural() {
    let long = "a".repeat(64);
    check(
        "/ProcessingJobName",
        json!(long),
        &format!(
            "2 validation errors detected: Value '{long}' at 'processingJobName' failed to \
             satisfy constraint: Member must have length less than or equal to 63; Value '{long}' \
             at 'processingJobName' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: {NAME_PATTERN}"
        ),
    );
}

#[test]
fn enumerations_list_their_values() {
    let document = json!({ "SortOrder": "Up", "StatusEquals": "Done" });
    let error = validate(ListTrainingJobs::OPERATION.input, &document).unwrap_err();
    assert_eq!(
        error.violations(),
        [
            "Value 'Done' at 'statusEquals' failed to satisfy constraint: Member must satisfy \
             enum value set: [InProgress, Completed, Failed, Stopping, Stopped, Deleting]",
            "Value 'Up' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum \
             value set: [Ascending, Descending]",
        ]
    );
}

#[test]
fn lists_and_maps_tell_the_rules_of_their_parts() {
    check(
        "/AppSpecification/ContainerArguments",
        json!(["ok", "a\nb"]),
        "1 validation error detected: Value '[ok, a\nb]' at \
         'appSpecification.containerArguments' failed to satisfy constraint: Member must satisfy \
         constraint: [Member must have length less than or equal to 256, Member must have length \
         greater than or equal to 0, Member must satisfy regular expression pattern: .*]",
    );
    check(
        "/Environment",
        json!({ "1": "x" }),
        "1 validation error detected: Value '{1=x}' at 'environment' failed to satisfy \
         constraint: Map keys must satisfy constraint: [Member must have length less than or \
         equal to 256, Member must have length greater than or equal to 0, Member must satisfy \
         regular expression pattern: [a-zA-Z_][a-zA-Z0-9_]*]",
    );
    check(
        "/AppSpecification/ContainerEntrypoint",
        json!([]),
        "1 validation error detected: Value '[]' at 'appSpecification.containerEntrypoint' \
         failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
}

#[test]
fn structures_in_lists_are_counted_from_one() {
    let document = json!({
        "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/t",
        "Tags": [{ "Key": "a", "Value": "b" }, { "Key": "", "Value": "b" }, { "Key": "c" }],
    });
    let error = validate(AddTags::OPERATION.input, &document).unwrap_err();
    assert_eq!(
        error.violations(),
        [
            "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have \
             length greater than or equal to 1",
            "Value null at 'tags.3.member.value' failed to satisfy constraint: Member must not be \
             null",
        ]
    );
}

#[test]
fn lengths_are_counted_in_characters() {
    let tag = |value: String| json!({ "ResourceArn": "arn:x:y", "Tags": [{ "Key": "k", "Value": value }] });
    let is_too_long = |document: Value| {
        let error = validate(AddTags::OPERATION.input, &document);
        error.is_err_and(|error| error.to_string().contains("'tags.1.member.value'"))
    };
    assert!(!is_too_long(tag("ß".repeat(256))));
    assert!(is_too_long(tag("ß".repeat(257))));
}

#[test]
fn numbers_below_their_least_are_refused() {
    let document = json!({ "ResourceArn": "arn:aws:x", "MaxResults": 1 });
    let error = validate(ListTags::OPERATION.input, &document).unwrap_err();
    let expected = "Value '1' at 'maxResults' failed to satisfy constraint: Member must have value \
                    greater than or equal to 50";
    assert!(error.violations().contains(&expected.to_owned()), "{error}");
}

#[test]
fn a_long_value_is_repeated_in_part_and_many_violations_are_cut() {
    let document = json!({ "TrainingJobName": "-".repeat(10 << 20) });
    let error = validate(CreateTrainingJob::OPERATION.input, &document)
        .unwrap_err()
        .to_string();
    assert!(error.len() < 10_000, "{} bytes", error.len());
    assert!(error.contains("---..."), "{error}");

    let tags: Vec<Value> = (0..10_000).map(|_| json!({})).collect();
    let document = json!({ "ResourceArn": "arn", "Tags": tags });
    let error = validate(AddTags::OPERATION.input, &document).unwrap_err();
    assert_eq!(
        error.violations().len(),
        sightline_wire::limits::VIOLATIONS_MAX
    );
}
