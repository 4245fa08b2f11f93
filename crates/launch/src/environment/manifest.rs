//! What an environment says about itself, in a file that exists only once it is complete.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sightline_types::Timestamp;

use super::interpreter::Interpreter;
use super::recipe::EnvironmentRecipe;

pub(super) const FILE_NAME: &str = "environment.json";

/// Part of the digest: a change in how environments are built makes all of them new.
const FORMAT: u32 = 1;

/// What lies in an environment's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) digest: String,
    pub(super) name: String,
    /// Such as `CPython 3.11.2`.
    pub(super) interpreter: String,
    pub(super) interpreter_path: PathBuf,
    /// What the installer lists as present, sorted.
    pub(super) packages: Vec<String>,
    pub(super) size_bytes: u64,
    pub(super) built_at: Timestamp,
}

impl Manifest {
    /// Reads the manifest of the environment at `directory`; `None` unless the environment is
    /// complete and its interpreter still exists.
    pub(super) async fn load(directory: &Path, digest: &str) -> Option<Self> {
        let bytes = tokio::fs::read(directory.join(FILE_NAME)).await.ok()?;
        let manifest: Self = serde_json::from_slice(&bytes).ok()?;
        let python = tokio::fs::metadata(directory.join("bin/python3")).await;
        (manifest.digest == digest && python.is_ok()).then_some(manifest)
    }
}

/// SHA-256 over everything that decides what an environment holds.
pub(super) fn digest(
    recipe: &EnvironmentRecipe,
    interpreter: &Interpreter,
    machine: &str,
) -> String {
    let mut text = format!(
        "sightline environment {FORMAT}\n{}\nlinux {machine}\ncpython {} {}\n",
        recipe.name,
        interpreter.version,
        interpreter.path.display(),
    );
    for pin in &recipe.packages {
        text.push_str(&format!("{pin}\n"));
    }
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Recipes;
    use super::*;

    fn recipe(packages: &str) -> EnvironmentRecipe {
        let text = format!(
            "[[image]]\nrepository='r'\ntag='t'\npython='3.11'\npackages=[]\nenvironments=['e']\n\
             [[environment]]\nname='e'\npython='3.11'\npackages=[{packages}]\n"
        );
        let recipes = Recipes::parse(&text).unwrap();
        let image = recipes.image(&"r:t".parse().unwrap()).unwrap();
        recipes.candidates(image, "x86_64")[0].clone()
    }

    #[test]
    fn the_digest_changes_with_what_it_stands_for_and_with_nothing_else() {
        let python = Interpreter::for_tests("/usr/bin/python3.11", "3.11.2");
        let of = |packages: &str| digest(&recipe(packages), &python, "x86_64");
        let base = of("'a==1', 'b==2'");
        // A changed digest makes every user build again: it must be meant.
        assert_eq!(
            base,
            "16fc9299b2ab65d31df65e7c2bb979c3cadb8ec7e7c7dc57e5d77f69665dc476"
        );
        assert_eq!(of("'b==2', 'a==1'"), base);
        assert_ne!(of("'a==1', 'b==3'"), base);
        let same = recipe("'a==1', 'b==2'");
        let newer = Interpreter::for_tests("/usr/bin/python3.11", "3.11.3");
        let elsewhere = Interpreter::for_tests("/opt/bin/python3.11", "3.11.2");
        assert_ne!(digest(&same, &newer, "x86_64"), base);
        assert_ne!(digest(&same, &elsewhere, "x86_64"), base);
        assert_ne!(digest(&same, &python, "aarch64"), base);
    }

    #[tokio::test]
    async fn a_manifest_counts_only_when_whole_and_matching() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest {
            digest: "d1".to_owned(),
            name: "e".to_owned(),
            interpreter: "CPython 3.11.2".to_owned(),
            interpreter_path: PathBuf::from("/usr/bin/python3.11"),
            packages: vec!["a==1".to_owned()],
            size_bytes: 7,
            built_at: Timestamp::from_millis(1_795_460_689_123),
        };
        let bytes = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(dir.path().join(FILE_NAME), &bytes).unwrap();
        assert_eq!(
            Manifest::load(dir.path(), "d1").await,
            None,
            "it has no interpreter"
        );
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::fs::write(dir.path().join("bin/python3"), "").unwrap();
        assert_eq!(Manifest::load(dir.path(), "d1").await, Some(manifest));
        assert_eq!(
            Manifest::load(dir.path(), "d2").await,
            None,
            "it is another environment's"
        );
        std::fs::write(dir.path().join(FILE_NAME), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(
            Manifest::load(dir.path(), "d1").await,
            None,
            "it is cut short"
        );
    }
}
