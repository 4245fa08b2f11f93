//! Which source wins, and what is said of what nobody can use.

use super::*;

fn sources(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str, &str)]) -> Sources {
    Sources {
        file: Some(("sightline.toml".to_owned(), file.to_owned())),
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        flags: flags
            .iter()
            .map(|(flag, key, value)| Flag {
                flag: (*flag).to_owned(),
                key: (*key).to_owned(),
                value: Given::Text((*value).to_owned()),
            })
            .collect(),
    }
}

/// The value and the origin of `limits.connections_max`.
fn connections(
    file: &str,
    variables: &[(&str, &str)],
    flags: &[(&str, &str, &str)],
) -> (u64, String) {
    let loaded = load(&sources(file, variables, flags)).unwrap();
    let entry = loaded
        .entries
        .iter()
        .find(|entry| entry.key.name == "limits.connections_max")
        .unwrap();
    let shown = entry.value.clone().unwrap();
    assert_eq!(shown, loaded.settings.limits.connections_max.to_string());
    (
        loaded.settings.limits.connections_max,
        entry.origin.to_string(),
    )
}

const IN_FILE: &str = "[limits]\nconnections_max = 11\n";
const VARIABLE: (&str, &str) = ("SIGHTLINE_LIMITS_CONNECTIONS_MAX", "12");
const FLAG: (&str, &str, &str) = ("--set", "limits.connections_max", "13");

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let default = Settings::default().limits.connections_max;
    assert_eq!(connections("", &[], &[]), (default, "default".to_owned()));
    assert_eq!(
        connections(IN_FILE, &[], &[]),
        (11, "sightline.toml".to_owned())
    );
    assert_eq!(
        connections(IN_FILE, &[VARIABLE], &[]),
        (12, "SIGHTLINE_LIMITS_CONNECTIONS_MAX".to_owned())
    );
    assert_eq!(
        connections(IN_FILE, &[VARIABLE], &[FLAG]),
        (13, "--set".to_owned())
    );
}

#[test]
fn a_short_variable_sets_its_key_unless_the_long_one_does() {
    let short = ("SIGHTLINE_REGION", "eu-west-1");
    let long = ("SIGHTLINE_SERVER_REGION", "eu-west-2");
    let region = |variables: &[(&str, &str)]| {
        let loaded = load(&sources("", variables, &[])).unwrap();
        loaded.settings.server.region.to_string()
    };
    assert_eq!(region(&[short]), "eu-west-1");
    assert_eq!(region(&[short, long]), "eu-west-2");
}

#[test]
fn every_key_is_shown_once_in_the_order_of_the_table() {
    let loaded = load(&Sources::default()).unwrap();
    let shown: Vec<&str> = loaded.entries.iter().map(|entry| entry.key.name).collect();
    let table: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(shown, table);
    assert_eq!(loaded.settings, Settings::default());
}

#[test]
fn variables_of_others_are_passed_over() {
    let others = [("SIGHTLINE_BIN", "x"), ("PATH", "/bin"), ("LIMITS_X", "1")];
    assert!(load(&sources("", &others, &[])).is_ok());
}

fn problems(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str, &str)]) -> Vec<String> {
    let Problems(problems) = load(&sources(file, variables, flags)).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_unknown_is_refused_with_the_name_that_was_meant() {
    assert_eq!(
        problems("[limit]\nconnections_max = 1\n", &[], &[]),
        ["sightline.toml: there is no section limit; did you mean limits?"]
    );
    assert_eq!(
        problems("[server]\nlistn = \"x\"\n", &[], &[]),
        ["sightline.toml: there is no key server.listn; did you mean server.listen?"]
    );
    assert_eq!(
        problems("listen = \"x\"\n", &[], &[]),
        ["sightline.toml: there is no section listen"]
    );
    assert_eq!(
        problems("", &[("SIGHTLINE_SERVER_LISTN", "x")], &[]),
        ["environment: there is no variable SIGHTLINE_SERVER_LISTN; \
          did you mean SIGHTLINE_SERVER_LISTEN?"]
    );
    assert_eq!(
        problems("", &[], &[("--set", "server.listn", "x")]),
        ["--set: there is no key server.listn; did you mean server.listen?"]
    );
}

#[test]
fn what_is_wrong_is_refused_with_key_value_and_expectation() {
    assert_eq!(
        problems(
            "[limits]\nconnections_max = \"many\"\nhead_timeout_ms = 0\n[environments]\noffline = 1\n",
            &[("SIGHTLINE_LISTEN", "localhost")],
            &[],
        ),
        [
            "SIGHTLINE_LISTEN: server.listen = \"localhost\" is not an address and port such as \
             127.0.0.1:7070",
            "sightline.toml: limits.connections_max = \"many\" is not a whole number from 1 to 100000",
            "sightline.toml: limits.head_timeout_ms = 0 is not a whole number from 10 to 600000",
            "sightline.toml: environments.offline = 1 is not true or false",
        ]
    );
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_place() {
    let told = problems("[server]\nlisten = hunter2\n", &[], &[]);
    assert!(told[0].starts_with("sightline.toml, line 2: "), "{told:?}");
    assert!(!told[0].contains("hunter2"), "{told:?}");
}
