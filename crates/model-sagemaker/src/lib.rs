//! The shapes of SageMaker's operations: generated types and tables, and nothing else.
//!
//! Only protocol crates use them; engines have types of their own.

mod generated;

pub use generated::sagemaker::{self, *};
