//! `sightline doctor`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use sightline_ports::SystemClock;
use sightline_server::doctor::{Finding, Patient, Verdict, examine};

use crate::config::Options;
use crate::say;
use crate::serve::environment_settings;

/// What is looked at, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Prints the findings as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

impl Doctor {
    /// Exit code 0 if everything works, 1 if something does not.
    pub(crate) fn run(self) -> ExitCode {
        match self.examined() {
            Ok(Verdict::Ok | Verdict::Warn) => ExitCode::SUCCESS,
            Ok(Verdict::Fail) => ExitCode::FAILURE,
            Err(error) => {
                say::error(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn examined(&self) -> Result<Verdict> {
        let configuration = self.options.load()?;
        let environments = environment_settings(&configuration.settings)?;
        let patient = Patient {
            settings: &configuration.settings,
            data_dir: &configuration.data_dir,
            environments: &environments,
            clock: Arc::new(SystemClock),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let findings = runtime.block_on(examine(&patient));
        if self.json {
            let lines: Vec<_> = findings.iter().map(as_json).collect();
            say::line(serde_json::to_string_pretty(&lines)?);
        } else {
            for Finding {
                subject,
                verdict,
                text,
            } in &findings
            {
                say::line(format!("{:4}  {subject}: {text}", word(*verdict)));
            }
        }
        let worst = findings.iter().map(|finding| finding.verdict).max();
        Ok(worst.unwrap_or(Verdict::Ok))
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    json!({
        "subject": finding.subject,
        "verdict": word(finding.verdict),
        "text": finding.text,
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
    }
}
