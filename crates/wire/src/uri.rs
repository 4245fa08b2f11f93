//! Paths and queries as they were sent: taken apart first, decoded once, never normalised.

use percent_encoding::percent_decode_str;

use crate::error::DecodeError;

/// Decodes percent-encoding once. What is not UTF-8 afterwards, or an escape that is none, is
/// refused rather than replaced, because names must come out as the bytes that went in.
pub fn decode_component(text: &str) -> Result<String, DecodeError> {
    let mut escapes = text.split('%').skip(1);
    let well_formed = escapes
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    if !well_formed {
        return Err(DecodeError::Uri);
    }
    percent_decode_str(text)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| DecodeError::Uri)
}

/// Decodes `name=value` pairs joined by `&`; a plus is a space, a name alone has an empty value.
pub fn decode_pairs(query: &str) -> Result<Vec<(String, String)>, DecodeError> {
    let decode = |text: &str| decode_component(&text.replace('+', " "));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Matches an encoded path against a template and gives the encoded text of each label, in order.
///
/// A label is a whole segment; a greedy one (`{Key+}`) is all the rest, slashes included, at least
/// one character. A slash after the last segment is tolerated, as S3 does for `/bucket/`.
pub(crate) fn match_path<'p>(
    template: &'static str,
    path: &'p str,
) -> Option<Vec<(&'static str, &'p str)>> {
    let template = template.split_once('?').map_or(template, |(path, _)| path);
    let mut labels = Vec::new();
    let mut rest = path.strip_prefix('/')?;
    let mut segments = template
        .strip_prefix('/')?
        .split('/')
        .filter(|s| !s.is_empty())
        .peekable();
    while let Some(segment) = segments.next() {
        let label = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        if let Some(greedy) = label.and_then(|label| label.strip_suffix('+')) {
            labels.push((greedy, rest));
            return (!rest.is_empty()).then_some(labels);
        }
        let (value, after) = match rest.split_once('/') {
            Some((value, after)) => (value, after),
            None if segments.peek().is_none() => (rest, ""),
            None => return None,
        };
        match label {
            Some(_) if value.is_empty() => return None,
            Some(label) => labels.push((label, value)),
            None if value != segment => return None,
            None => {}
        }
        rest = after;
    }
    rest.is_empty().then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_decoded_once_and_strictly() {
        assert_eq!(decode_component("a%2Fb%252F+c").unwrap(), "a/b%2F+c");
        assert_eq!(decode_component("%C3%A9").unwrap(), "é");
        for wrong in ["%", "%2", "%zz", "%FF", "a%2", "%C3"] {
            assert_eq!(decode_component(wrong), Err(DecodeError::Uri), "{wrong}");
        }
    }

    #[test]
    fn pairs_keep_their_order_and_may_lack_a_value() {
        let pairs = decode_pairs("uploads&a=1+2&a=%3D&&=x").unwrap();
        let expected = [("uploads", ""), ("a", "1 2"), ("a", "="), ("", "x")];
        assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[track_caller]
    fn check(template: &'static str, path: &str, expected: Option<&[(&str, &str)]>) {
        assert_eq!(
            match_path(template, path).as_deref(),
            expected,
            "{template} {path}"
        );
    }

    #[test]
    fn keys_are_kept_byte_for_byte() {
        check(
            "/{Bucket}/{Key+}",
            "/b/a//b",
            Some(&[("Bucket", "b"), ("Key", "a//b")]),
        );
        check(
            "/{Bucket}/{Key+}",
            "/b/a/../b/",
            Some(&[("Bucket", "b"), ("Key", "a/../b/")]),
        );
        check(
            "/{Bucket}/{Key+}",
            "/b//",
            Some(&[("Bucket", "b"), ("Key", "/")]),
        );
        check(
            "/{Bucket}/{Key+}?uploads",
            "/b/%2F",
            Some(&[("Bucket", "b"), ("Key", "%2F")]),
        );
        check("/{Bucket}/{Key+}", "/b/", None);
        check("/{Bucket}/{Key+}", "/b", None);
        check("/{Bucket}/{Key+}", "//k", None);
    }

    #[test]
    fn segments_match_whole() {
        check("/", "/", Some(&[]));
        check("/", "/b", None);
        check("/{Bucket}", "/", None);
        check("/{Bucket}", "/b", Some(&[("Bucket", "b")]));
        check("/{Bucket}", "/b/", Some(&[("Bucket", "b")]));
        check("/{Bucket}", "/b/k", None);
        check("/a/{Name}/c", "/a/x/c", Some(&[("Name", "x")]));
        check("/a/{Name}/c", "/a/x", None);
        check("/a/{Name}/c", "/b/x/c", None);
        check("/a", "a", None);
    }
}
