//! SageMaker's control plane: jobs and tags, between the wire's shapes and the engines' types.
//!
//! Handlers convert, act and convert; all else happens in [`sightline_api::Operations`]. One file
//! for each noun. What a request asks for and no engine does is refused by name (`unsupported`),
//! never taken and left undone.

mod faults;
mod list;
mod processing_job;
mod tag;
mod training_job;
mod unsupported;

use std::sync::Arc;

use sightline_api::Operations;
use sightline_catalog::Catalog;
use sightline_identity::Identity;
use sightline_jobs::Jobs;
use sightline_meta::Meta;
use sightline_model_sagemaker::sagemaker as model;

/// The engines behind the handlers.
#[derive(Debug)]
pub struct App {
    /// Processing and training jobs.
    pub jobs: Jobs,
    /// Tags.
    pub catalog: Catalog,
}

/// What SageMaker serves. A handler with the wrong input or output type does not compile.
#[must_use]
pub fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let (identity, meta) = (identity.clone(), meta.clone());
    let mut on = Operations::new(&model::SERVICE, faults::table, identity, meta);
    on.serve::<model::CreateProcessingJob, _, _, _>(app, processing_job::create);
    on.serve::<model::DescribeProcessingJob, _, _, _>(app, processing_job::describe);
    on.serve::<model::ListProcessingJobs, _, _, _>(app, processing_job::list);
    on.serve::<model::StopProcessingJob, _, _, _>(app, processing_job::stop);
    on.serve::<model::CreateTrainingJob, _, _, _>(app, training_job::create);
    on.serve::<model::DescribeTrainingJob, _, _, _>(app, training_job::describe);
    on.serve::<model::ListTrainingJobs, _, _, _>(app, training_job::list);
    on.serve::<model::StopTrainingJob, _, _, _>(app, training_job::stop);
    on.serve::<model::AddTags, _, _, _>(app, tag::add);
    on.serve::<model::ListTags, _, _, _>(app, tag::list);
    on.serve::<model::DeleteTags, _, _, _>(app, tag::delete);
    on
}
