//! Objects to files and files to objects.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sightline_objects::{
    Attributes, Entry, ListQuery, NewObject, Object, ObjectKey, Payload, S3Uri, Wanted,
};
use sightline_types::{Arn, Cx};
use tokio::io::AsyncWriteExt as _;

use crate::{Error, JobSpec, JobsOptions};

/// Objects that one input may name.
const OBJECTS_MAX: usize = 1_000_000;

/// Keys asked for at once.
const LIST_PAGE: u32 = 1_000;

/// The objects that an input names, in the order of their keys.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    uri: S3Uri,
    objects: Vec<Object>,
}

pub(crate) fn parse(uri: &str) -> Result<S3Uri, Error> {
    // The job's grants are patterns, in which these would reach further than they say.
    if uri.contains(['*', '?']) {
        let text = format!("the URI {uri:?} must not contain '*' or '?': jobs take no patterns");
        return Err(Error::Invalid(text));
    }
    uri.parse()
        .map_err(|error: sightline_objects::InvalidName| Error::Invalid(error.to_string()))
}

/// The URI of a file stored below another.
pub(crate) fn join(uri: &str, path: &str) -> Result<S3Uri, Error> {
    Ok(parse(uri)?.join(path))
}

/// Finds the objects at a prefix; that there are none is an error.
pub(crate) async fn list(
    options: &JobsOptions,
    cx: &Arc<Cx>,
    spec: &JobSpec,
    uri: &str,
) -> Result<Source, Error> {
    let parsed = parse(uri)?;
    let none = || Error::NoObjects {
        uri: uri.to_owned(),
        region: cx.region.to_string(),
        role: spec.role.clone(),
        bucket: parsed.bucket.to_string(),
    };
    let arn = Arn::s3(parsed.bucket.as_str(), None);
    let permit = options.identity.platform_permit(cx, "s3:ListBucket", arn);
    let mut query = ListQuery {
        prefix: parsed.path.clone(),
        delimiter: None,
        after: None,
        max: LIST_PAGE,
    };
    let mut objects = Vec::new();
    loop {
        let page = options.objects.list(&permit, &parsed.bucket, &query).await;
        let page = match page {
            Err(sightline_objects::Error::BucketNotFound(_)) => return Err(none()),
            other => other?,
        };
        query.after = page.next();
        objects.extend(page.entries.into_iter().filter_map(|entry| match entry {
            Entry::Object(object) => Some(*object),
            Entry::CommonPrefix(_) => None,
        }));
        if OBJECTS_MAX < objects.len() {
            let text = format!("{uri} names more than {OBJECTS_MAX} objects");
            return Err(Error::Invalid(text));
        }
        if query.after.is_none() {
            break;
        }
    }
    if objects.is_empty() {
        return Err(none());
    }
    Ok(Source {
        uri: parsed,
        objects,
    })
}

/// Writes those objects whose index `wanted` takes to files below `directory`.
pub(crate) async fn download(
    options: &JobsOptions,
    cx: &Arc<Cx>,
    source: &Source,
    directory: &Path,
    wanted: impl Fn(usize) -> bool,
) -> Result<(), Error> {
    for (_, object) in source
        .objects
        .iter()
        .enumerate()
        .filter(|(index, _)| wanted(*index))
    {
        let key = object.key.as_str();
        let Some(relative) = file_path(&source.uri.path, key)? else {
            continue;
        };
        let path = directory.join(relative);
        if key.ends_with('/') {
            make(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            make(parent)?;
        }
        fetch(options, cx, &source.uri, &object.key, &path).await?;
    }
    Ok(())
}

/// Writes the one object that a URI names to a file.
pub(crate) async fn download_one(
    options: &JobsOptions,
    cx: &Arc<Cx>,
    source: &Source,
    path: &Path,
) -> Result<(), Error> {
    let key = source
        .uri
        .key()
        .map_err(|error| Error::Invalid(error.to_string()))?;
    fetch(options, cx, &source.uri, &key, path).await
}

async fn fetch(
    options: &JobsOptions,
    cx: &Arc<Cx>,
    uri: &S3Uri,
    key: &ObjectKey,
    path: &Path,
) -> Result<(), Error> {
    let arn = Arn::s3(uri.bucket.as_str(), Some(key.as_str()));
    let permit = options.identity.platform_permit(cx, "s3:GetObject", arn);
    let mut found = options
        .objects
        .get(&permit, &uri.bucket, key, &Wanted::default())
        .await?;
    let failed = |source: io::Error| {
        if is_unnameable(&source) {
            let text = format!("the object {key} cannot be a file beside the others: {source}");
            return Error::Invalid(text);
        }
        Error::Workspace {
            action: "write an input to",
            source,
        }
    };
    let mut file = tokio::fs::File::create_new(path).await.map_err(failed)?;
    while let Some(piece) = found.bytes.try_next().await.map_err(failed)? {
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

/// Stores an open file as an object, and gives its tag.
pub(crate) async fn upload(
    options: &JobsOptions,
    cx: &Arc<Cx>,
    target: &S3Uri,
    file: File,
) -> Result<String, Error> {
    let key = target
        .key()
        .map_err(|error| Error::Invalid(error.to_string()))?;
    let arn = Arn::s3(target.bucket.as_str(), Some(key.as_str()));
    let permit = options.identity.platform_permit(cx, "s3:PutObject", arn);
    let object = NewObject {
        bucket: target.bucket.clone(),
        key,
        attributes: Attributes::default(),
        condition: None,
    };
    Ok(options
        .objects
        .put(&permit, object, Payload::file(file))
        .await?
        .etag)
}

/// The path of the file that shows an object; `None` for the marker of the prefix itself.
///
/// What follows the prefix in the key. A prefix that is a whole key gives that key's last part;
/// one that ends within a name gives the name whole.
fn file_path(prefix: &str, key: &str) -> Result<Option<PathBuf>, Error> {
    let rest = key.strip_prefix(prefix).unwrap_or(key);
    let at_boundary = prefix.is_empty() || prefix.ends_with('/') || rest.starts_with('/');
    let rest = if at_boundary {
        rest
    } else {
        prefix.rfind('/').map_or(key, |slash| &key[slash + 1..])
    };
    let rest = rest.trim_matches('/');
    if rest.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(rest);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
        && !rest.contains("//")
        && !rest.contains("/./")
        && !rest.contains('\0');
    if plain {
        return Ok(Some(path));
    }
    Err(Error::Invalid(format!(
        "the object key {key:?} cannot be the path of a file"
    )))
}

fn make(directory: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(directory).map_err(|source| {
        if is_unnameable(&source) {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let text = format!("{name:?} cannot be a directory beside the other objects: {source}");
            return Error::Invalid(text);
        }
        Error::Workspace {
            action: "make a directory in",
            source,
        }
    })
}

/// Whether keys that are good as keys are not good as names of files: one is also the directory
/// of another, or a part of one is longer than a name may be.
fn is_unnameable(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory};
    matches!(
        error.kind(),
        AlreadyExists | InvalidFilename | IsADirectory | NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_paths_below_their_prefix() {
        let cases = [
            ("seed/raw", "seed/raw/part-0.csv", Some("part-0.csv")),
            ("seed/raw/", "seed/raw/a/b.csv", Some("a/b.csv")),
            ("seed/raw", "seed/raw", Some("raw")),
            ("seed/ra", "seed/raw/x", Some("raw/x")),
            ("", "x/y", Some("x/y")),
            ("code/preproc.py", "code/preproc.py", Some("preproc.py")),
            ("preproc.py", "preproc.py", Some("preproc.py")),
            ("seed/raw/", "seed/raw/", None),
            ("seed", "seed//x", Some("x")),
        ];
        for (prefix, key, expected) in cases {
            let got = file_path(prefix, key).unwrap();
            assert_eq!(
                got.as_deref(),
                expected.map(Path::new),
                "{key} below {prefix}"
            );
        }
    }

    #[test]
    fn keys_that_lead_elsewhere_are_refused() {
        for key in [
            "p/../../etc/passwd",
            "p/a//b",
            "p/a/../b",
            "p/./..",
            "p/a/./b",
        ] {
            assert!(file_path("p/", key).is_err(), "{key}");
        }
    }
}
