//! SageMaker's tables against botocore.

#[path = "../../../model-aws/tests/it/golden.rs"]
#[cfg(test)]
mod golden;
#[path = "../../../model-aws/tests/it/tables.rs"]
#[cfg(test)]
mod tables;
#[cfg(test)]
mod validation;

use golden::{Typed, typed};
use sightline_model_sagemaker as sagemaker;
use sightline_wire::schema::Service;

static SERVICES: [&Service; 1] = [&sagemaker::SERVICE];

fn operations() -> Vec<Typed> {
    vec![
        typed::<sagemaker::AddTags>(),
        typed::<sagemaker::CreateProcessingJob>(),
        typed::<sagemaker::CreateTrainingJob>(),
        typed::<sagemaker::DeleteTags>(),
        typed::<sagemaker::DescribeProcessingJob>(),
        typed::<sagemaker::DescribeTrainingJob>(),
        typed::<sagemaker::ListProcessingJobs>(),
        typed::<sagemaker::ListTags>(),
        typed::<sagemaker::ListTrainingJobs>(),
        typed::<sagemaker::StopProcessingJob>(),
        typed::<sagemaker::StopTrainingJob>(),
    ]
}

#[test]
fn requests_of_botocore_are_understood() {
    golden::check_requests(&SERVICES, &operations());
}

#[test]
fn answers_are_those_that_botocore_has_read() {
    golden::check_responses(&operations());
}

#[test]
fn types_hold_every_member_of_their_tables() {
    golden::check_types(&operations());
}
