//! Certificates that are made, kept and read anew.

use std::os::unix::fs::PermissionsExt as _;

use sightline_ports::SystemClock;

use super::*;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.tls.enabled = true;
    settings
}

fn open(settings: &Settings, data_dir: &Path) -> Result<Option<Arc<Tls>>, TlsError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Tls::open(settings, data_dir, &clock)
}

fn text(data_dir: &Path, name: &str) -> String {
    std::fs::read_to_string(data_dir.join("tls").join(name)).unwrap()
}

#[test]
fn authority_and_certificate_are_made_once_and_are_their_owners() {
    let dir = tempfile::tempdir().unwrap();
    assert!(open(&Settings::default(), dir.path()).unwrap().is_none());
    assert!(!dir.path().join("tls").exists());
    open(&settings(), dir.path()).unwrap().unwrap();
    let first = ["ca.pem", "ca.key", "server.pem", "server.key"].map(|name| text(dir.path(), name));
    open(&settings(), dir.path()).unwrap().unwrap();
    let second =
        ["ca.pem", "ca.key", "server.pem", "server.key"].map(|name| text(dir.path(), name));
    assert_eq!(first, second);
    for name in ["ca.key", "server.key"] {
        let mode = std::fs::metadata(dir.path().join("tls").join(name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_new_name_gives_a_new_certificate_of_the_same_authority() {
    let dir = tempfile::tempdir().unwrap();
    open(&settings(), dir.path()).unwrap();
    let before = (text(dir.path(), "ca.pem"), text(dir.path(), "server.pem"));
    let mut named = settings();
    named.tls.names = vec!["ml.example.com".to_owned()];
    open(&named, dir.path()).unwrap();
    assert_eq!(before.0, text(dir.path(), "ca.pem"));
    assert_ne!(before.1, text(dir.path(), "server.pem"));
}

#[test]
fn a_certificate_is_replaced_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let names = own::names(&[], [127, 0, 0, 1].into());
    let own = own::Authority::new(&dir.path().join("tls"), names);
    let now = SystemClock.now();
    let day = Duration::from_secs(24 * 3_600);
    own.ensure(now).unwrap();
    let first = text(dir.path(), "server.pem");
    own.ensure(now.plus(day * 300)).unwrap();
    assert_eq!(first, text(dir.path(), "server.pem"));
    own.ensure(now.plus(day * 340)).unwrap();
    assert_ne!(first, text(dir.path(), "server.pem"));
}

#[test]
fn what_cannot_be_used_is_told_by_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut half = settings();
    half.tls.key_file = Some(dir.path().join("key.pem"));
    assert!(matches!(open(&half, dir.path()), Err(TlsError::Half)));
    let mut garbage = half;
    garbage.tls.certificate_file = Some(dir.path().join("certificate.pem"));
    std::fs::write(dir.path().join("certificate.pem"), "no certificate").unwrap();
    let error = open(&garbage, dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("certificate.pem") || error.contains("key.pem"),
        "{error}"
    );
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_one_before_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let tls = open(&settings(), dir.path()).unwrap().unwrap();
    let before = Arc::clone(&tls.config.read().unwrap());
    std::fs::write(dir.path().join("tls/server.pem"), "torn").unwrap();
    tls.reload();
    assert!(Arc::ptr_eq(&before, &tls.config.read().unwrap()));
    std::fs::remove_file(dir.path().join("tls/server.json")).unwrap();
    tls.own.as_ref().unwrap().ensure(SystemClock.now()).unwrap();
    tls.reload();
    assert!(!Arc::ptr_eq(&before, &tls.config.read().unwrap()));
}
