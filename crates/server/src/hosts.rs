//! Virtual-host style: the name of a bucket in front of the server's own in the host.
//!
//! Clients that reach the server by a name rather than by an address put the bucket there. What
//! is asked for is then found as if the bucket stood in the path; the signature is verified over
//! host and path as they were sent.

use http::Uri;
use http::request::Parts;

use crate::route::header;

/// The names that a bucket's can stand before.
#[derive(Debug)]
pub(crate) struct Hosts {
    domains: Vec<String>,
}

impl Hosts {
    /// `localhost`, S3's own names in `region`, and those that the configuration adds.
    pub(crate) fn new(region: &str, configured: &[String]) -> Self {
        let own = [
            "localhost".to_owned(),
            "s3.amazonaws.com".to_owned(),
            format!("s3.{region}.amazonaws.com"),
            format!("s3.dualstack.{region}.amazonaws.com"),
        ];
        let configured = configured.iter().map(|name| name.to_ascii_lowercase());
        Self {
            domains: own.into_iter().chain(configured).collect(),
        }
    }

    /// Where a request would have been sent in path style; `None` if its host names no bucket.
    pub(crate) fn in_path_style(&self, parts: &Parts) -> Option<Uri> {
        let host = header(parts, "host").or_else(|| parts.uri.authority().map(|a| a.as_str()))?;
        let bucket = self.bucket(host)?;
        let path = parts.uri.path();
        let query = parts.uri.query().map(|query| format!("?{query}"));
        let text = format!("/{bucket}{path}{}", query.unwrap_or_default());
        text.parse().ok()
    }

    fn bucket(&self, host: &str) -> Option<String> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            Some(_) | None => host,
        };
        let name = name.to_ascii_lowercase();
        let before = |domain: &String| name.strip_suffix(domain.as_str())?.strip_suffix('.');
        let bucket = self
            .domains
            .iter()
            .filter_map(before)
            .min_by_key(|b| b.len())?;
        (!bucket.is_empty()).then(|| bucket.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_stands_before_a_name_of_the_server() {
        let hosts = Hosts::new("eu-west-1", &["data.Example.org".to_owned()]);
        let cases = [
            ("localhost:7070", None),
            ("127.0.0.1:7070", None),
            ("[::1]:7070", None),
            ("bkt.localhost:7070", Some("bkt")),
            ("BKT.LocalHost", Some("bkt")),
            ("a.b.localhost", Some("a.b")),
            ("bkt.data.example.org:443", Some("bkt")),
            ("data.example.org", None),
            ("bkt.example.org", None),
            ("bkt.s3.amazonaws.com", Some("bkt")),
            ("bkt.s3.eu-west-1.amazonaws.com", Some("bkt")),
            ("s3.eu-west-1.amazonaws.com", None),
            (".localhost", None),
            ("notlocalhost", None),
        ];
        for (host, expected) in cases {
            assert_eq!(hosts.bucket(host).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn path_and_query_are_kept_as_they_were_sent() {
        let hosts = Hosts::new("us-east-1", &[]);
        let request = http::Request::get("/a//b/../%2e?x=%2F").header("host", "bkt.localhost");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let uri = hosts.in_path_style(&parts).unwrap();
        assert_eq!(uri.to_string(), "/bkt/a//b/../%2e?x=%2F");
    }
}
