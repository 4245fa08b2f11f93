//! Forms that upload: how a body is cut changes nothing, no policy holds that was not signed, and
//! none lets a field through that it does not name.

use std::hash::{DefaultHasher, Hasher as _};

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use multer::Multipart;
use sightline_types::Timestamp;
use sightline_wire::post::{FIELDS_BYTES_MAX, FIELDS_MAX, Form};
use sightline_wire::sigv4::SecretKey;

use crate::take;

const BOUNDARY: &str = "b";
const NOW: i64 = 1_700_000_000_000;

/// Later than any time that a policy can name.
const NEVER: i64 = 253_402_300_800_000;

/// What a body holds: the names and values of its fields, as far as it can be read.
type Fields = Vec<(String, Vec<u8>)>;

/// Reads a body whole and in pieces, and what its fields say of who signed what.
pub fn post(mut data: &[u8]) {
    let cut = usize::from(take(&mut data)) + 1;
    let whole = fields(data, data.len().max(1));
    assert_eq!(whole, fields(data, cut), "the cut of {cut} matters");
    let Some(form) = form(&whole.0) else {
        return;
    };
    let mut bytes = 0;
    let mut count = 0;
    for (name, value) in form.said() {
        bytes += name.len() + value.len();
        count += 1;
    }
    assert!(bytes <= FIELDS_BYTES_MAX && count <= FIELDS_MAX);
    let Ok(presented) = form.presented() else {
        return;
    };
    let secret = SecretKey::new("a secret that the fuzzer does not know");
    let believed = presented.verify(&secret);
    let error = believed.expect_err("a policy without the secret holds");
    assert!(!error.to_string().contains(secret.expose()));
    if let Ok(policy) = presented.policy() {
        let check = |form: &Form, at| policy.check(form, "bucket", Timestamp::from_millis(at));
        assert!(check(&form, NEVER).is_err(), "a policy without end");
        if check(&form, NOW).is_ok() {
            let mut more = form.clone();
            if more.add(&unforeseen(data), "x".to_owned()).is_ok() {
                assert!(check(&more, NOW).is_err(), "a field that nobody signed");
            }
        }
    }
}

/// The fields of a body that comes in pieces of this size, and whether it could be read to its end.
fn fields(body: &[u8], piece: usize) -> (Fields, bool) {
    let pieces: Vec<_> = body
        .chunks(piece)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    let mut multipart = Multipart::new(stream::iter(pieces), BOUNDARY);
    let reading = async {
        let mut found = Fields::new();
        loop {
            let field = match multipart.next_field().await {
                Ok(Some(field)) => field,
                Ok(None) => return (found, true),
                Err(_) => return (found, false),
            };
            let name = field.name().unwrap_or_default().to_owned();
            let Ok(value) = field.bytes().await else {
                return (found, false);
            };
            found.push((name, value.to_vec()));
        }
    };
    // Every piece is there, so nothing is waited for.
    reading.now_or_never().expect("reading waits for nothing")
}

fn form(fields: &Fields) -> Option<Form> {
    let mut form = Form::default();
    for (name, value) in fields {
        if name.eq_ignore_ascii_case("file") {
            form.name_file(&String::from_utf8_lossy(value));
            break;
        }
        let value = String::from_utf8(value.clone()).ok()?;
        form.add(name, value).ok()?;
    }
    Some(form)
}

/// A name that depends on every byte of the input, so that no input can name it.
fn unforeseen(data: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    format!("unforeseen-{:016x}", hasher.finish())
}
