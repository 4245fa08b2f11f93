//! Who may touch which table: every migration says whose tables it makes, and only the owner's
//! SQL may name them.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::File;

const MIGRATIONS: &str = "crates/meta/migrations/";
const OWNER_LINE: &str = "-- owner: ";
/// A table's name stands behind one of these; the house writes SQL keywords in capitals.
const BEFORE_A_TABLE: &[&str] = &["FROM", "INTO", "UPDATE", "JOIN", "TABLE"];

/// The folder under `crates/` that owns each table.
pub(super) type Owners = BTreeMap<String, String>;

/// Reads the owners out of the migrations; a table without one is a finding.
pub(super) fn owners(files: &[File], found: &mut Vec<Finding>) -> Owners {
    let mut owners = Owners::new();
    for file in files.iter().filter(|file| is_migration(file)) {
        let mut owner = None;
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some(name) = line.strip_prefix(OWNER_LINE) {
                owner = Some(name.trim().to_owned());
            }
            let Some(table) = created_table(line) else {
                continue;
            };
            match &owner {
                Some(owner) => _ = owners.insert(table.to_owned(), owner.clone()),
                None => {
                    let message = format!("table {table} has no `{OWNER_LINE}…` line above it");
                    found.push(Finding::at_line(&file.path, number, message));
                }
            }
        }
    }
    owners
}

fn is_migration(file: &File) -> bool {
    file.path.starts_with(MIGRATIONS) && file.path.ends_with(".sql")
}

fn created_table(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("CREATE TABLE ")?;
    let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
    words(rest).next()
}

/// Finds SQL in a crate's Rust sources that names another crate's table.
pub(super) fn check(file: &File, owners: &Owners) -> Vec<Finding> {
    let (Some(here), true) = (file.crate_name(), file.path.ends_with(".rs")) else {
        return Vec::new();
    };
    // A test may look at what another engine has stored.
    if file.path.contains("/tests/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut before = "";
    for (number, line) in (1..).zip(file.text.lines()) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in words(line) {
            let owner = owners
                .get(word)
                .filter(|_| BEFORE_A_TABLE.contains(&before));
            if let Some(owner) = owner.filter(|owner| *owner != here) {
                let message = format!("touches the table {word}, which {owner} owns");
                found.push(Finding::at_line(&file.path, number, message));
            }
            before = word;
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.into(),
        }
    }

    fn house() -> (Owners, Vec<Finding>) {
        let migrations = [
            file(
                "crates/meta/migrations/0001_a.sql",
                "-- owner: meta\nCREATE TABLE events (\n);\n-- owner: jobs\n\
                 CREATE TABLE IF NOT EXISTS jobs(\n);\nCREATE TABLE job_steps (\n);\n",
            ),
            file(
                "crates/meta/migrations/0002_b.sql",
                "CREATE TABLE orphans (\n);\n",
            ),
        ];
        let mut found = Vec::new();
        (owners(&migrations, &mut found), found)
    }

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&file(path, text), &house().0)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn owners_are_read_from_the_migrations() {
        let (owners, found) = house();
        let pairs: Vec<_> = owners
            .iter()
            .map(|(t, o)| (t.as_str(), o.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [("events", "meta"), ("job_steps", "jobs"), ("jobs", "jobs")]
        );
        let want =
            "crates/meta/migrations/0002_b.sql:1: table orphans has no `-- owner: …` line above it";
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [want]
        );
    }

    #[test]
    fn a_table_is_touched_by_its_owner_only() {
        let path = "crates/audit/src/store.rs";
        let want = [format!("{path}:1: touches the table jobs, which jobs owns")];
        for sql in [
            "SELECT a FROM jobs WHERE 1",
            "INSERT INTO jobs(name) VALUES (?)",
            "UPDATE jobs SET a = 1",
            "SELECT a FROM x JOIN jobs ON 1",
            "DELETE FROM jobs",
        ] {
            assert_eq!(
                messages(path, &format!("const Q: &str = \"{sql}\";\n")),
                want,
                "{sql}"
            );
            assert!(
                messages("crates/jobs/src/store.rs", sql).is_empty(),
                "{sql}"
            );
        }
    }

    #[test]
    fn the_name_may_stand_on_the_next_line() {
        let path = "crates/audit/src/store.rs";
        let want = [format!(
            "{path}:2: touches the table events, which meta owns"
        )];
        assert_eq!(messages(path, "\"SELECT at FROM \\\n    events\""), want);
    }

    #[test]
    fn comments_and_prose_are_not_sql() {
        let path = "crates/audit/src/store.rs";
        assert!(
            messages(
                path,
                "/// Reads FROM jobs.\nlet from = jobs;\n// from jobs\n"
            )
            .is_empty()
        );
    }
}
