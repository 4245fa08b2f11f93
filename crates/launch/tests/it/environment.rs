//! Environments are really built here, of a wheel that each test makes, so that nothing but the
//! installer itself can come from a package index.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sightline_launch::{Environments, EnvironmentsConfig, Recipes, passes_to_installer};
use sightline_ports::{LaunchError, Progress, SystemClock};
use tempfile::TempDir;

const IMAGE: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/probe:1";

/// Writes a wheel with one module, as `python3 -m build` would.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
name, version, directory = "sightline_probe", "1.0", sys.argv[1]
info = f"{name}-{version}.dist-info"
with zipfile.ZipFile(f"{directory}/{name}-{version}-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{name}.py", "ANSWER = 42\n")
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    files = [f"{name}.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
    wheel.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in files))
"#;

/// Remembers what it was told.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn step(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

impl Heard {
    fn times(&self, part: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|text| text.contains(part))
            .count()
    }
}

/// A cache with a wheel beside it.
struct Bench {
    root: TempDir,
    uv: PathBuf,
}

impl Bench {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.path().join("wheels")).unwrap();
        let wheels = root.path().join("wheels");
        let made = Command::new("python3")
            .args(["-c", MAKE_WHEEL])
            .arg(wheels)
            .status()
            .unwrap();
        assert!(made.success());
        Self {
            root,
            uv: installer().await,
        }
    }

    fn config(&self, version: &str) -> EnvironmentsConfig {
        let wheels = self.root.path().join("wheels").into_os_string();
        let variables = vec![
            ("UV_FIND_LINKS".into(), wheels),
            ("UV_OFFLINE".into(), "1".into()),
        ];
        EnvironmentsConfig {
            cache: self.cache(),
            uv: Some(self.uv.clone()),
            variables,
            recipes: recipes(version),
            ..plain_config(self.cache())
        }
    }

    fn environments(&self) -> Environments {
        Environments::new(self.config("1.0"), Arc::new(SystemClock))
    }

    fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    /// Names in the directory of environments.
    fn built(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.cache().join("environments"));
        entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }
}

/// The `uv` of this host, or one that is installed once for all tests.
async fn installer() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("environments");
    let variables = std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(passes_to_installer))
        .collect();
    let config = EnvironmentsConfig {
        variables,
        ..plain_config(place)
    };
    let environments = Environments::new(config, Arc::new(SystemClock));
    environments
        .prepare_installer(&Heard::default())
        .await
        .unwrap()
}

fn plain_config(cache: PathBuf) -> EnvironmentsConfig {
    EnvironmentsConfig {
        cache,
        pythons: Vec::new(),
        search_path: std::env::vars_os()
            .find(|(name, _)| name == "PATH")
            .map(|(_, path)| path),
        home: None,
        uv: None,
        offline: false,
        strict: false,
        jobs_are_other_users: true,
        variables: Vec::new(),
        build_timeout: Duration::from_secs(300),
        recipes: Recipes::default(),
    }
}

/// One image, and an environment for whichever Python this host has.
fn recipes(version: &str) -> Recipes {
    let names: Vec<_> = (9..=14)
        .map(|minor| format!("'probe-py3.{minor}'"))
        .collect();
    let mut text = format!(
        "[[image]]\nrepository = 'probe'\ntag = '1'\npython = '3.6'\n\
         packages = ['sightline-probe==0.9']\nenvironments = [{}]\n",
        names.join(", "),
    );
    for (minor, name) in (9..=14).zip(names) {
        text.push_str(&format!(
            "[[environment]]\nname = {name}\npython = '3.{minor}'\nwhy = 'for a test'\n\
             packages = ['sightline-probe=={version}']\n",
        ));
    }
    Recipes::parse(&text).unwrap()
}

#[tokio::test]
async fn an_environment_is_built_once_and_works() {
    let bench = Bench::new().await;
    let heard = Heard::default();
    let environment = bench.environments().prepare(IMAGE, &heard).await.unwrap();
    assert_eq!(heard.times("is not built yet"), 1);
    assert_eq!(heard.times("is ready"), 1);
    assert_eq!(environment.asked, IMAGE);
    assert_eq!(environment.packages, ["sightline-probe==1.0"]);
    assert_eq!(environment.substitutions.len(), 1);
    let said = &environment.substitutions[0];
    assert!(
        said.starts_with("image probe:1 promises sightline-probe 0.9 on Python 3.6;"),
        "{said}"
    );
    assert!(said.ends_with(", for a test"), "{said}");

    let ask = "import platform, sightline_probe as p; print('CPython', platform.python_version());\
               print(p.ANSWER, p.__cached__)";
    let python = environment.path.join("bin/python3");
    let answer = Command::new(python)
        .args(["-I", "-B", "-c", ask])
        .env_clear()
        .output()
        .unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();
    let (interpreter, rest) = answer.split_once('\n').unwrap();
    assert_eq!(interpreter, environment.interpreter);
    let compiled = Path::new(rest.trim().strip_prefix("42 ").unwrap());
    assert!(compiled.starts_with(&environment.path));
    let found = fs::metadata(compiled).expect("bytecode was compiled by the build");
    assert_eq!(found.permissions().mode() & 0o777, 0o644);

    let again = Heard::default();
    assert_eq!(
        bench.environments().prepare(IMAGE, &again).await.unwrap(),
        environment
    );
    assert_eq!(again.0.into_inner().unwrap(), Vec::<String>::new());
}

/// An import that had to compile would be slow in every job, because the sandbox shows the
/// environment read-only and nothing is ever stored.
#[tokio::test]
async fn compiled_bytecode_is_what_an_import_uses() {
    let bench = Bench::new().await;
    let environment = bench
        .environments()
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap();
    let ask = ["-I", "-B", "-v", "-c", "import sightline_probe"];
    let python = environment.path.join("bin/python3");
    let output = Command::new(python).args(ask).env_clear().output().unwrap();
    let trace = String::from_utf8_lossy(&output.stderr).into_owned();
    let uses = |line: &str| line.contains("sightline_probe") && line.contains(".pyc matches");
    assert!(trace.lines().any(uses), "{trace}");
}

#[tokio::test]
async fn a_build_that_fails_says_why_and_leaves_nothing() {
    let bench = Bench::new().await;
    let environments = Environments::new(bench.config("9.9"), Arc::new(SystemClock));
    let error = environments
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap_err();
    let LaunchError::Build { image, reason } = error else {
        panic!("{error}")
    };
    assert_eq!(image, IMAGE);
    assert!(reason.contains("sightline-probe==9.9"), "{reason}");
    assert_eq!(bench.built(), Vec::<OsString>::new());
}

#[tokio::test]
async fn callers_that_ask_at_once_build_once() {
    let bench = Bench::new().await;
    let heard = Heard::default();
    let servers = [bench.environments(), bench.environments()];
    let (one, two, three) = tokio::join!(
        servers[0].prepare(IMAGE, &heard),
        servers[0].prepare(IMAGE, &heard),
        servers[1].prepare(IMAGE, &heard),
    );
    assert_eq!(one.unwrap().path, two.unwrap().path);
    assert_eq!(bench.built(), [three.unwrap().digest.as_str()]);
    assert_eq!(heard.times("is not built yet"), 1);
    assert_eq!(heard.times("waiting for it"), 2);
}

#[tokio::test]
async fn a_build_given_up_in_the_middle_leaves_nothing() {
    let bench = Bench::new().await;
    let stuck = bench.root.path().join("stuck-uv");
    let script = "#!/bin/sh\nmkdir -p half/bin\necho Downloading half >&2\nexec sleep 600\n";
    fs::write(&stuck, script).unwrap();
    fs::set_permissions(&stuck, fs::Permissions::from_mode(0o755)).unwrap();
    let config = EnvironmentsConfig {
        uv: Some(stuck),
        build_timeout: Duration::from_millis(300),
        ..bench.config("1.0")
    };
    let environments = Environments::new(config, Arc::new(SystemClock));
    let heard = Heard::default();
    let error = environments
        .prepare(IMAGE, &heard)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("was stopped after"), "{error}");
    assert_eq!(heard.times("downloading half"), 1);
    assert_eq!(bench.built(), Vec::<OsString>::new());
    bench
        .environments()
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_killed_server_left_is_never_taken_for_an_environment() {
    let bench = Bench::new().await;
    let digest = bench
        .environments()
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap()
        .digest;
    let environments = bench.cache().join("environments");
    // Killed while it built, and, with a file system that lost the rest, while it finished.
    let half = environments.join(format!("building-{digest}-x1/environment/bin"));
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("python3"), "").unwrap();
    fs::write(environments.join(&digest).join("environment.json"), "{").unwrap();
    let other = environments.join("building-other-x1");
    fs::create_dir(&other).unwrap();

    let heard = Heard::default();
    let environment = bench.environments().prepare(IMAGE, &heard).await.unwrap();
    assert_eq!(heard.times("is not built yet"), 1);
    assert_eq!(environment.packages, ["sightline-probe==1.0"]);
    let mut built = bench.built();
    built.sort_unstable();
    assert_eq!(
        built,
        [digest.as_str(), "building-other-x1"],
        "another build's is left alone"
    );
}

#[tokio::test]
async fn offline_a_cached_environment_is_used_and_another_is_refused() {
    let bench = Bench::new().await;
    let built = bench
        .environments()
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap();
    let offline = |version: &str| {
        let variables = Vec::new();
        let config = EnvironmentsConfig {
            offline: true,
            variables,
            ..bench.config(version)
        };
        Environments::new(config, Arc::new(SystemClock))
    };
    assert_eq!(
        offline("1.0")
            .prepare(IMAGE, &Heard::default())
            .await
            .unwrap(),
        built
    );
    let error = offline("2.0")
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("offline"), "{error}");
    let config = EnvironmentsConfig {
        uv: None,
        search_path: None,
        offline: true,
        ..bench.config("2.0")
    };
    let environments = Environments::new(config, Arc::new(SystemClock));
    let error = environments
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("uv is not on this host, and the server works offline"),
        "{error}"
    );
}

#[tokio::test]
async fn substitutes_can_be_refused() {
    let bench = Bench::new().await;
    let config = EnvironmentsConfig {
        strict: true,
        ..bench.config("1.0")
    };
    let environments = Environments::new(config, Arc::new(SystemClock));
    let error = environments
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("promises sightline-probe 0.9 on Python 3.6"),
        "{error}"
    );
    assert_eq!(bench.built(), Vec::<OsString>::new());
}

#[tokio::test]
async fn an_image_that_is_not_known_is_named_with_what_is() {
    let bench = Bench::new().await;
    let environments = bench.environments();
    for (image, expected) in [
        ("probe:2", "no environment stands in for probe:2; known"),
        ("probe", "in any account and region, are probe:1"),
        (
            "other/probe:1",
            "no environment stands in for other/probe:1",
        ),
        ("not an image", "it does not read as"),
    ] {
        let error = environments
            .prepare(image, &Heard::default())
            .await
            .unwrap_err();
        let LaunchError::UnknownImage { image: named, hint } = error else {
            panic!("{error}")
        };
        assert_eq!(named, image);
        assert!(hint.contains(expected), "{hint}");
    }
}

#[tokio::test]
async fn a_cache_that_jobs_could_not_enter_is_refused() {
    let bench = Bench::new().await;
    fs::set_permissions(bench.root.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let environments = bench.environments();
    let error = environments
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("jobs could not use the cache"), "{error}");
    let config = EnvironmentsConfig {
        jobs_are_other_users: false,
        ..bench.config("1.0")
    };
    let environments = Environments::new(config, Arc::new(SystemClock));
    environments
        .prepare(IMAGE, &Heard::default())
        .await
        .unwrap();
}
