//! Making a backup.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use sightline_config::Settings;
use sightline_objects::NamedBlob;
use sightline_ports::{BlobId, BlobStore, ByteRange, Clock};
use sightline_types::RequestId;

use super::files::{copy_own, create, make_folder, replace, sha256_of, sync_folder};
use super::hold::Hold;
use super::{BLOB_LIST, BackupError, FORMAT, Line, MANIFEST, METADATA, Manifest};
use super::{archive, failed, place_of};

/// What is backed up, where to, and how.
#[derive(Debug)]
pub struct BackUp<'a> {
    /// What file, variables and flags say.
    pub settings: &'a Settings,
    /// The data directory, whose server may run.
    pub data_dir: &'a Path,
    /// A directory, or a file whose name ends in `.tar`.
    pub to: &'a Path,
    /// Whether files that hold secrets are copied too.
    pub secrets: bool,
    /// Tells the time.
    pub clock: &'a dyn Clock,
}

/// Makes a backup, while the server goes on.
pub async fn back_up(asked: &BackUp<'_>) -> Result<Manifest, BackupError> {
    if asked
        .to
        .extension()
        .is_some_and(|extension| extension == "tar")
    {
        let folder = asked.to.with_extension("tar.partial");
        let manifest = into_folder(asked, &folder).await?;
        archive::pack(&folder, asked.to)?;
        fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
        return Ok(manifest);
    }
    into_folder(asked, asked.to).await
}

async fn into_folder(asked: &BackUp<'_>, to: &Path) -> Result<Manifest, BackupError> {
    if asked.settings.metadata.url.is_some() {
        return Err(BackupError::Postgres);
    }
    let source = asked.data_dir.join(METADATA);
    if !source.is_file() {
        return Err(BackupError::NoData(asked.data_dir.to_owned()));
    }
    let blobs = super::blobs_to_read(asked.settings, asked.data_dir)?;
    let hold = Hold::take(asked.data_dir).map_err(failed("lock", asked.data_dir))?;
    let _hold = hold.ok_or_else(|| BackupError::InProgress(asked.data_dir.to_owned()))?;
    let now = asked.clock.now();
    let random = RequestId::random();
    let snapshot = format!("{}-{:.8}", now.amz_date(), random.as_str());
    let folder = to.join("snapshots").join(&snapshot);
    make_folder(&folder)?;
    make_folder(&to.join("blobs"))?;
    // After the hold: every blob that this copy names stays until the hold ends.
    sightline_meta::backup::copy(&source, &folder.join(METADATA))?;
    let copied = copy_blobs(blobs, to, &folder).await?;
    let mut left_out = copy_own(asked.data_dir, &folder.join("files"), asked.secrets)?;
    let elsewhere = asked.settings.identity.secret_key_file.as_ref();
    left_out.extend(elsewhere.map(|path| path.display().to_string()));
    sync_folder(&folder)?;
    sync_folder(&to.join("snapshots"))?;
    let manifest = Manifest {
        format: FORMAT,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now.iso8601(),
        metadata_sha256: sha256_of(&folder.join(METADATA))?,
        blob_list_sha256: sha256_of(&folder.join(BLOB_LIST))?,
        snapshot,
        blobs: copied.blobs,
        bytes: copied.bytes,
        copied: copied.copied,
        left_out,
        objects_dir: asked.settings.objects.dir.clone(),
    };
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| failed("write", to)(error.into()))?;
    replace(&to.join(MANIFEST), &text)?;
    sync_folder(to)?;
    prune(to, &manifest.snapshot, &copied.names)?;
    Ok(manifest)
}

/// What became of the blobs.
#[derive(Default)]
struct Copied {
    blobs: u64,
    bytes: u64,
    copied: u64,
    names: HashSet<BlobId>,
}

async fn copy_blobs(
    blobs: Arc<dyn BlobStore>,
    to: &Path,
    folder: &Path,
) -> Result<Copied, BackupError> {
    let before = lines_before(to)?;
    let mut named = Vec::new();
    sightline_meta::backup::read(&folder.join(METADATA), |reader| {
        sightline_objects::each_named_blob(reader, |blob| {
            named.push(blob);
            Ok::<_, BackupError>(())
        })
    })?;
    let list_path = folder.join(BLOB_LIST);
    let mut list = std::io::BufWriter::new(create(&list_path)?);
    let mut copied = Copied::default();
    for blob in named {
        if !copied.names.insert(blob.id.clone()) {
            continue;
        }
        let place = to.join("blobs").join(place_of(&blob.id));
        let there = fs::metadata(&place).is_ok_and(|file| file.len() == blob.size);
        let line = match before
            .get(&blob.id)
            .filter(|line| there && line.size == blob.size)
        {
            Some(line) => line.clone(),
            None => {
                copied.copied = copied.copied.saturating_add(1);
                copy_blob(blobs.as_ref(), &blob, &place).await?
            }
        };
        copied.blobs = copied.blobs.saturating_add(1);
        copied.bytes = copied.bytes.saturating_add(blob.size);
        let text = serde_json::to_string(&line)
            .map_err(|error| failed("write", &list_path)(error.into()))?;
        writeln!(list, "{text}").map_err(failed("write", &list_path))?;
    }
    let synced = list
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error);
    let synced = synced.and_then(|file| file.sync_all());
    synced.map_err(failed("write", &list_path))?;
    for shard in fs::read_dir(to.join("blobs")).map_err(failed("read", to))? {
        sync_folder(&shard.map_err(failed("read", to))?.path())?;
    }
    sync_folder(&to.join("blobs"))?;
    Ok(copied)
}

/// What the backup before this one says of its blobs.
fn lines_before(to: &Path) -> Result<HashMap<BlobId, Line>, BackupError> {
    let mut lines = HashMap::new();
    let Ok(manifest) = super::restore::read_manifest(to) else {
        return Ok(lines);
    };
    let path = to
        .join("snapshots")
        .join(&manifest.snapshot)
        .join(BLOB_LIST);
    let file = fs::File::open(&path).map_err(failed("read", &path))?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(failed("read", &path))?;
        let line: Line =
            serde_json::from_str(&line).map_err(|_| BackupError::DamagedFile(path.clone()))?;
        if let Some(id) = BlobId::parse(&line.id) {
            lines.insert(id, line);
        }
    }
    Ok(lines)
}

/// Copies one blob, checked against what its row says.
async fn copy_blob(
    blobs: &dyn BlobStore,
    blob: &NamedBlob,
    place: &Path,
) -> Result<Line, BackupError> {
    let beside = place.with_extension("new");
    if let Some(shard) = place.parent() {
        make_folder(shard)?;
    }
    let whole = ByteRange {
        start: 0,
        end: u64::MAX,
    };
    let mut pieces = blobs.get(&blob.id, whole).await?;
    let (mut sha256, mut md5, mut size) = (Sha256::new(), Md5::new(), 0_u64);
    let mut file = create(&beside)?;
    while let Some(piece) = pieces.try_next().await.map_err(failed("read", place))? {
        sha256.update(&piece);
        md5.update(&piece);
        size = size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        file.write_all(&piece).map_err(failed("write", &beside))?;
    }
    let damaged = |reason| BackupError::Damaged {
        id: blob.id.clone(),
        reason,
    };
    if size != blob.size {
        return Err(damaged(format!("it has {size} bytes, not {}", blob.size)));
    }
    let md5 = hex::encode(md5.finalize());
    if blob.md5.as_ref().is_some_and(|said| *said != md5) {
        return Err(damaged("its MD5 is not its object's".to_owned()));
    }
    file.sync_all().map_err(failed("write", &beside))?;
    fs::rename(&beside, place).map_err(failed("write", place))?;
    Ok(Line {
        id: blob.id.as_str().to_owned(),
        size,
        sha256: hex::encode(sha256.finalize()),
    })
}

/// Removes snapshots and blobs that the present snapshot does not need.
fn prune(to: &Path, snapshot: &str, names: &HashSet<BlobId>) -> Result<(), BackupError> {
    let entries = |path: &Path| -> Result<Vec<PathBuf>, BackupError> {
        let entries = fs::read_dir(path).map_err(failed("read", path))?;
        entries
            .map(|entry| {
                entry
                    .map(|entry| entry.path())
                    .map_err(failed("read", path))
            })
            .collect()
    };
    for path in entries(&to.join("snapshots"))? {
        if path.file_name().is_some_and(|name| name != snapshot) {
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
        }
    }
    for shard in entries(&to.join("blobs"))? {
        for path in entries(&shard)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let id = name.and_then(BlobId::parse);
            if !id.is_some_and(|id| names.contains(&id)) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
    }
    Ok(())
}
