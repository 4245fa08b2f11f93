//! The shapes of the operations of S3, STS, IAM, CloudWatch Logs and CloudTrail: generated types
//! and tables, and nothing else.
//!
//! Only protocol crates use them; engines have types of their own.

mod generated;

pub use generated::{cloudtrail, iam, logs, s3, sts};
