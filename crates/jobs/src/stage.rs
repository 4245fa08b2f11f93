//! Laying out what the instances of a job will see.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

use sightline_identity::{Grant, Grants, NewSession};
use sightline_objects::S3Uri;
use sightline_ports::{Command, Environment, HostName, LaunchSpec, Mount, Network};
use sightline_types::Arn;

use crate::runner::{Interrupt, Runner, hosts};
use crate::transfer::{self, Source};
use crate::workspace::off_the_runtime;
use crate::{Distribution, Error, Input, JobKind, JobSpec, Program, config, limits, store};

/// The port at which a job finds the server, on its own loopback interface.
const API_PORT: u16 = 7070;

/// How long a job's credentials outlive its time limit, for the ending.
const SESSION_MARGIN_S: u64 = 600;

/// Where script mode expects the archive of the user's code.
const SOURCE_PATH: &str = "/opt/ml/input/source";

/// What a launcher needs, and what must stay open while the instances run.
pub(crate) struct Staged {
    pub(crate) launch: LaunchSpec,
    pub(crate) keep_open: Option<Box<dyn Any + Send + Sync>>,
}

/// Copies inputs and code into the job's directory. May be given up at any time.
pub(crate) async fn fetch(runner: &Runner<'_>) -> Result<(), Interrupt> {
    let (shared, spec) = (runner.shared, &runner.spec);
    let workspace = runner.workspace.clone();
    off_the_runtime("make", move || workspace.begin()).await?;
    let mut sources = Vec::new();
    for input in &spec.inputs {
        sources.push(transfer::list(&shared.options, &runner.cx, spec, &input.uri).await?);
    }
    for (index, (input, source)) in spec.inputs.iter().zip(&sources).enumerate() {
        stage_input(runner, index, input, source).await?;
    }
    Ok(stage_code(runner).await?)
}

/// Lays out configuration and credentials beside what was fetched.
pub(crate) async fn lay_out(
    runner: &Runner<'_>,
    environment: Environment,
) -> Result<Staged, Interrupt> {
    let spec = &runner.spec;
    let document = document(runner).await?;
    for host in hosts(spec) {
        lay_out_instance(runner, &document, &host).map_err(|source| Error::Workspace {
            action: "lay out",
            source,
        })?;
    }
    let (network, keep_open) = network(runner)?;
    let mut variables = variables(runner, &environment);
    // A request that brings its own key does not want ours beside it.
    if !spec.network_isolation && !spec.variables.contains_key("AWS_ACCESS_KEY_ID") {
        variables.extend(credentials(runner).await?);
    }
    let instances = hosts(spec)
        .map(|host| (host.clone(), mounts(runner, &host)))
        .collect();
    let launch = LaunchSpec {
        id: runner.workspace.id().to_owned(),
        environment,
        command: match &spec.program {
            Program::OfImage => Command::Train,
            Program::Command(words) => Command::Program(words.clone()),
        },
        instances,
        variables,
        working_directory: match spec.kind {
            JobKind::Processing => "/".to_owned(),
            JobKind::Training => "/opt/ml/code".to_owned(),
        },
        limits: limits::of_instance_type(&spec.instance_type),
        network,
        log: std::sync::Arc::clone(&runner.log) as _,
    };
    Ok(Staged { launch, keep_open })
}

async fn document(runner: &Runner<'_>) -> Result<serde_json::Value, Interrupt> {
    let id = runner.id.clone();
    let found = runner.shared.options.meta.read(move |reader| {
        sightline_meta::resource::get(reader, id.kind.resource_kind(), &id.name)
    });
    Ok(found
        .await?
        .map(|resource| resource.document)
        .unwrap_or_default())
}

async fn stage_input(
    runner: &Runner<'_>,
    index: usize,
    input: &Input,
    source: &Source,
) -> Result<(), Error> {
    let options = &runner.shared.options;
    match input.distribution {
        Distribution::FullyReplicated => {
            let directory = runner.workspace.input(index, None);
            make(&directory)?;
            transfer::download(options, &runner.cx, source, &directory, |_| true).await?;
            make_mount_points(&runner.spec, input, &directory)
        }
        Distribution::ShardedByKey => {
            for number in 1..=runner.spec.instances {
                let directory = runner.workspace.input(index, Some(number));
                make(&directory)?;
                let (n, this) = (runner.spec.instances as usize, number as usize - 1);
                let mine = move |object: usize| object % n == this;
                transfer::download(options, &runner.cx, source, &directory, mine).await?;
                make_mount_points(&runner.spec, input, &directory)?;
            }
            Ok(())
        }
    }
}

/// Inputs are shown read-only, so what is mounted within one needs its place made beforehand.
fn make_mount_points(spec: &JobSpec, input: &Input, directory: &Path) -> Result<(), Error> {
    let inputs = spec.inputs.iter().map(|other| other.path.as_str());
    let outputs = spec.outputs.iter().map(|output| output.path.as_str());
    for path in inputs.chain(outputs) {
        if let Some(below) = below(path, &input.path) {
            make(&directory.join(below))?;
        }
    }
    Ok(())
}

/// The part of `path` below `parent`; `None` when it is not below.
pub(crate) fn below<'p>(path: &'p str, parent: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(parent.trim_end_matches('/'))?;
    let rest = rest.strip_prefix('/')?.trim_end_matches('/');
    (!rest.is_empty()).then_some(rest)
}

async fn stage_code(runner: &Runner<'_>) -> Result<(), Error> {
    let Some(uri) = runner.spec.source_archive() else {
        return Ok(());
    };
    let options = &runner.shared.options;
    let source = transfer::list(options, &runner.cx, &runner.spec, &uri).await?;
    make(&runner.workspace.source())?;
    let to = runner.workspace.source().join("sourcedir.tar.gz");
    transfer::download_one(options, &runner.cx, &source, &to).await
}

/// Makes one instance's private tree and its configuration files.
fn lay_out_instance(
    runner: &Runner<'_>,
    document: &serde_json::Value,
    host: &HostName,
) -> io::Result<()> {
    let spec = &runner.spec;
    let ml = runner.workspace.ml(host);
    let standing: &[&str] = match spec.kind {
        JobKind::Processing => &["config", "processing", "output", "metadata"],
        JobKind::Training => &[
            "input",
            "model",
            "code",
            "output/data",
            "output/intermediate",
            "metadata",
            "checkpoints",
        ],
    };
    for directory in standing {
        std::fs::create_dir_all(ml.join(directory))?;
    }
    let paths = spec.inputs.iter().map(|input| &input.path);
    for path in paths.chain(spec.outputs.iter().map(|output| &output.path)) {
        if let Some(relative) = below(path, "/opt/ml") {
            std::fs::create_dir_all(ml.join(relative))?;
        }
    }
    let identity = serde_json::json!({
        "ResourceName": spec.name,
        "ExecutionRoleArn": spec.role,
    });
    std::fs::write(
        ml.join("metadata/resource-metadata.json"),
        identity.to_string(),
    )?;
    let configuration = runner.workspace.config(host);
    let directory = match spec.kind {
        JobKind::Processing => configuration.clone(),
        JobKind::Training => configuration.join("config"),
    };
    std::fs::create_dir_all(&directory)?;
    if spec.kind == JobKind::Training {
        std::fs::create_dir_all(configuration.join("source"))?;
        for input in &spec.inputs {
            std::fs::create_dir_all(configuration.join("data").join(&input.name))?;
        }
    }
    let arn = spec
        .kind
        .arn(&spec.name, &runner.cx.region, &runner.cx.account);
    for (name, content) in config::files(spec, document, &arn, host) {
        std::fs::write(directory.join(name), content.to_string())?;
    }
    Ok(())
}

/// What one instance sees, parents before what lies within them.
fn mounts(runner: &Runner<'_>, host: &HostName) -> Vec<Mount> {
    let (spec, workspace) = (&runner.spec, &runner.workspace);
    let read_only = |host: PathBuf, inside: &str| Mount {
        host,
        inside: inside.to_owned(),
        writable: false,
    };
    let ml = Mount {
        host: workspace.ml(host),
        inside: "/opt/ml".to_owned(),
        writable: true,
    };
    let configuration = match spec.kind {
        JobKind::Processing => "/opt/ml/config",
        JobKind::Training => "/opt/ml/input",
    };
    let mut mounts = vec![ml, read_only(workspace.config(host), configuration)];
    let mut nested = Vec::new();
    for (index, input) in spec.inputs.iter().enumerate() {
        let shard = match input.distribution {
            Distribution::FullyReplicated => None,
            Distribution::ShardedByKey => Some(host.number()),
        };
        nested.push(read_only(workspace.input(index, shard), &input.path));
    }
    // An output within an input is hidden by it unless it is shown once more.
    for output in &spec.outputs {
        let hidden = spec
            .inputs
            .iter()
            .any(|input| below(&output.path, &input.path).is_some());
        if let Some(relative) = below(&output.path, "/opt/ml").filter(|_| hidden) {
            nested.push(Mount {
                host: workspace.ml(host).join(relative),
                inside: output.path.clone(),
                writable: true,
            });
        }
    }
    if spec.source_archive().is_some() {
        nested.push(read_only(workspace.source(), SOURCE_PATH));
    }
    nested.sort_by_key(|mount| mount.inside.matches('/').count());
    mounts.append(&mut nested);
    mounts
}

fn network(runner: &Runner<'_>) -> Result<(Network, Option<Box<dyn Any + Send + Sync>>), Error> {
    if runner.spec.network_isolation {
        return Ok((Network::None, None));
    }
    let socket = runner.workspace.socket();
    let open =
        (runner.shared.options.open_api_socket)(&socket).map_err(|source| Error::Workspace {
            action: "open the server's socket in",
            source,
        })?;
    Ok((
        Network::Api {
            socket,
            port: API_PORT,
        },
        Some(open),
    ))
}

/// The program's environment but for credentials.
fn variables(runner: &Runner<'_>, environment: &Environment) -> Vec<(String, String)> {
    let (spec, region) = (&runner.spec, runner.cx.region.as_str());
    let mut variables: Vec<(String, String)> = [
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("SAGEMAKER_REGION", region),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONIOENCODING", "UTF-8"),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if spec.kind == JobKind::Training {
        let arn = spec
            .kind
            .arn(&spec.name, &runner.cx.region, &runner.cx.account);
        variables.push(("TRAINING_JOB_NAME".to_owned(), spec.name.clone()));
        variables.push(("TRAINING_JOB_ARN".to_owned(), arn.to_string()));
        let archive = format!("{SOURCE_PATH}/sourcedir.tar.gz");
        variables.push(("SIGHTLINE_SOURCE_ARCHIVE".to_owned(), archive));
    }
    if !spec.network_isolation {
        let url = format!("http://127.0.0.1:{API_PORT}");
        variables.push(("AWS_ENDPOINT_URL".to_owned(), url));
    }
    variables.extend(environment.variables.iter().cloned());
    let given = spec
        .variables
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    variables.retain(|(name, _)| !spec.variables.contains_key(name));
    variables.extend(given);
    variables
}

/// Makes a key for this job alone, which ends with it.
async fn credentials(runner: &Runner<'_>) -> Result<Vec<(String, String)>, Interrupt> {
    let options = &runner.shared.options;
    let now = options.clock.now();
    let life = runner.spec.runtime_s_max.saturating_add(SESSION_MARGIN_S);
    let session = NewSession {
        role_name: runner.spec.role_name().to_owned(),
        session_name: runner.spec.name.clone(),
        grants: grants(runner),
        expires_at: now.plus(std::time::Duration::from_secs(life)),
    };
    let key = options
        .identity
        .begin_session(session, now)
        .await
        .map_err(Error::from)?;
    let (id, key_id) = (runner.id.clone(), key.id.clone());
    let stored = runner
        .shared
        .change(&runner.id, move |tx| store::set_session(tx, &id, &key_id));
    stored.await?;
    let token = key
        .session_token
        .as_ref()
        .map(|token| token.reveal())
        .unwrap_or_default();
    Ok([
        ("AWS_ACCESS_KEY_ID", key.id.clone()),
        ("AWS_SECRET_ACCESS_KEY", key.secret.reveal().to_owned()),
        ("AWS_SESSION_TOKEN", token.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into())
}

/// A job reads its inputs and code, writes below its outputs, and knows itself.
fn grants(runner: &Runner<'_>) -> Grants {
    let spec = &runner.spec;
    let reads = spec
        .inputs
        .iter()
        .map(|input| input.uri.clone())
        .chain(spec.source_archive());
    let reads: Vec<String> = reads.collect();
    let mut writes: Vec<String> = spec
        .outputs
        .iter()
        .map(|output| output.uri.clone())
        .collect();
    writes.extend(spec.artifact_uri(""));
    let buckets = |uris: &[String]| {
        uris.iter()
            .filter_map(|uri| transfer::parse(uri).ok())
            .map(|uri| Arn::s3(uri.bucket.as_str(), None).to_string())
            .collect::<Vec<_>>()
    };
    let everything = |uri: S3Uri| Arn::s3(uri.bucket.as_str(), Some(&uri.path)).to_string();
    let parsed = |uri: &String| transfer::parse(uri).ok();
    // An input is all keys that begin so; an output is a folder.
    let begin_so = |mut uri: S3Uri| {
        uri.path.push('*');
        uri
    };
    let read = reads
        .iter()
        .filter_map(parsed)
        .map(begin_so)
        .map(everything);
    let written = writes.iter().filter_map(parsed);
    let written: Vec<String> = written.map(|uri| everything(uri.join("*"))).collect();
    let itself = spec
        .kind
        .arn(&spec.name, &runner.cx.region, &runner.cx.account)
        .to_string();
    let all: Vec<String> = reads.iter().chain(&writes).cloned().collect();
    let mut grants = vec![
        grant(
            &["sts:GetCallerIdentity", "iam:GetRole"],
            vec!["*".to_owned()],
        ),
        grant(
            &[
                "sagemaker:DescribeProcessingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:ListTags",
            ],
            vec![itself],
        ),
        grant(&["s3:GetBucketLocation"], buckets(&all)),
        grant(&["s3:GetObject"], read.chain(written.clone()).collect()),
        grant(
            &[
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
            written,
        ),
    ];
    grants.extend(reads.iter().filter_map(parsed).map(begin_so).map(listing));
    let folder = |uri: S3Uri| uri.join("*");
    grants.extend(writes.iter().filter_map(parsed).map(folder).map(listing));
    Grants::Only(grants)
}

fn grant(actions: &[&str], resources: Vec<String>) -> Grant {
    Grant {
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resources,
        prefixes: Vec::new(),
    }
}

/// Lists what begins as the path says, with a star at its end, and nothing else.
fn listing(uri: S3Uri) -> Grant {
    Grant {
        actions: vec!["s3:ListBucket".to_owned()],
        resources: vec![Arn::s3(uri.bucket.as_str(), None).to_string()],
        prefixes: vec![uri.path],
    }
}

fn make(directory: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(directory).map_err(|source| Error::Workspace {
        action: "make a directory in",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_others_are_told_from_paths_beside_them() {
        let cases = [
            (
                "/opt/ml/processing/input/code",
                "/opt/ml/processing/input",
                Some("code"),
            ),
            (
                "/opt/ml/processing/input/code/",
                "/opt/ml/processing/input/",
                Some("code"),
            ),
            ("/opt/ml/processing/input", "/opt/ml/processing/input", None),
            (
                "/opt/ml/processing/input2",
                "/opt/ml/processing/input",
                None,
            ),
            ("/opt/ml/a/b/c", "/opt/ml", Some("a/b/c")),
        ];
        for (path, parent, expected) in cases {
            assert_eq!(below(path, parent), expected, "{path} below {parent}");
        }
    }
}
