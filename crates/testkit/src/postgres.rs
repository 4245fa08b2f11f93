//! A real PostgreSQL server for tests, from the programs of the system's package.
//!
//! All tests that one runner starts share a server, which ends with the runner. A test that kills
//! the server starts one of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where Debian and its like keep the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Whom the server runs as when the tests run as root, which it refuses to be.
const NOBODY: u32 = 65_534;

/// How long a server may take to be ready.
const READY_SECONDS: usize = 60;

/// Settings of a server that need not outlive its machine, and that many tests use at once.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "autovacuum=off",
];

/// Runs the server until the process `$1` is gone, then removes its directory `$2`.
const GUARD: &str = r#"
owner=$1; dir=$2; shift 2
"$@" >"$dir/log" 2>&1 &
server=$!
while [ -d "/proc/$owner" ] && [ -d "/proc/$server" ]; do sleep 0.5; done
if [ ! -d "/proc/$owner" ]; then kill -QUIT "$server" 2>/dev/null; wait "$server"; rm -rf "$dir"; fi
"#;

/// A server that listens on a socket in its directory.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    dir: PathBuf,
    guard: Option<Child>,
}

impl PostgresServer {
    /// The server that all tests of this run share. The error says why there is none.
    pub fn shared() -> Result<Self, String> {
        let owner = parent_id();
        let dir = std::env::temp_dir().join(format!("sightline-postgres-{owner}"));
        let lock = File::create(dir.with_extension("lock")).map_err(told)?;
        lock.lock().map_err(told)?;
        let mut server = Self {
            programs: programs()?,
            dir,
            guard: None,
        };
        if !server.is_ready() {
            server.make()?;
            server.run(owner)?;
            // It lasts longer than this test.
            server.guard = None;
        }
        Ok(server)
    }

    /// A server of this test alone, which ends with it.
    pub fn own() -> Result<Self, String> {
        let (owner, at) = (std::process::id(), std::ptr::from_ref(&VERSIONS));
        let named = hash(&(owner, at as usize, std::thread::current().id()));
        let dir = std::env::temp_dir().join(format!("sightline-postgres-{owner}-{named:x}"));
        let mut server = Self {
            programs: programs()?,
            dir,
            guard: None,
        };
        server.make()?;
        server.run(owner)?;
        Ok(server)
    }

    /// The URL of a database that is this name's alone, made at first use.
    pub fn database(&self, name: &str) -> Result<String, String> {
        let name = format!("t{:x}", hash(&name));
        let made = self.sql("postgres", &format!("CREATE DATABASE {name}"));
        match made {
            Err(text) if !text.contains("already exists") => return Err(text),
            Ok(_) | Err(_) => {}
        }
        Ok(self.url(&name))
    }

    /// The URL of a database that exists.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let socket = self.dir.to_string_lossy().replace('/', "%2F");
        format!("postgres://sightline@{socket}/{database}")
    }

    /// Runs a statement and gives what it prints.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = self.program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args([
                "--username=sightline",
                "--dbname",
                database,
                "--command",
                sql,
            ])
            .arg("--host")
            .arg(&self.dir);
        output(&mut psql)
    }

    /// Kills the server as a crash would; [`PostgresServer::start_again`] lets it recover.
    pub fn kill(&self) -> Result<(), String> {
        let pid_file = fs::read_to_string(self.dir.join("data/postmaster.pid")).map_err(told)?;
        let pid = pid_file.lines().next().unwrap_or_default().to_owned();
        output(Command::new("kill").args(["-KILL", &pid]))?;
        for _ in 0..READY_SECONDS * 20 {
            if !Path::new("/proc").join(&pid).exists() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("the server does not end".to_owned())
    }

    /// Starts a killed server on what it has stored.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.run(std::process::id())
    }

    fn make(&self) -> Result<(), String> {
        fs::create_dir(&self.dir).map_err(told)?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700)).map_err(told)?;
        if is_root() {
            chown(&self.dir, Some(NOBODY), Some(NOBODY)).map_err(told)?;
        }
        let mut initdb = self.program("initdb");
        initdb
            .args(["--username=sightline", "--auth=trust", "--no-sync"])
            .args(["--locale=C", "--encoding=UTF8", "--pgdata"])
            .arg(self.dir.join("data"));
        output(&mut initdb).map(drop)
    }

    fn run(&mut self, owner: u32) -> Result<(), String> {
        let mut guard = as_nobody(Command::new("sh"));
        guard
            .args(["-c", GUARD, "guard", &owner.to_string()])
            .arg(&self.dir)
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(self.dir.join("data"))
            .arg("-k")
            .arg(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        for setting in SETTINGS {
            guard.args(["-c", setting]);
        }
        self.guard = Some(guard.spawn().map_err(told)?);
        for _ in 0..READY_SECONDS * 20 {
            if self.is_ready() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(fs::read_to_string(self.dir.join("log")).unwrap_or_else(told))
    }

    fn is_ready(&self) -> bool {
        self.dir.join("data").exists() && self.sql("postgres", "SELECT 1").is_ok()
    }

    fn program(&self, name: &str) -> Command {
        as_nobody(Command::new(self.programs.join(name)))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(self.kill());
            drop(guard.wait());
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

/// The directory of the newest installed version.
fn programs() -> Result<PathBuf, String> {
    let missing = || format!("{VERSIONS} has no server: run scripts/setup test-services");
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
        .map_err(|_| missing())?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name().and_then(OsStr::to_str)?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, bin)| bin.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop().map(|(_, bin)| bin).ok_or_else(missing)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn as_nobody(mut command: Command) -> Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}

fn output(command: &mut Command) -> Result<String, String> {
    let done = command.output().map_err(told)?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned());
    }
    Err(String::from_utf8_lossy(&done.stderr).into_owned())
}

fn told(error: std::io::Error) -> String {
    error.to_string()
}

fn hash(what: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
