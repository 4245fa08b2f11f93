//! Who may act without asking: only engines mint the platform's own permits, never a protocol.

use super::Finding;
use super::tree::File;

const OF_THE_PLATFORM: &str = "platform_permit";
const PROTOCOLS: &str = "crates/api";

/// Finds a protocol crate that would let a request in without a decision.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.path.starts_with(PROTOCOLS) || !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let lines = (1..).zip(file.text.lines());
    lines
        .filter(|(_, line)| line.contains(OF_THE_PLATFORM))
        .map(|(number, _)| {
            let message = "a protocol must not mint the platform's own permit";
            Finding::at_line(&file.path, number, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_protocols_are_kept_from_it() {
        let text = "let permit = identity.platform_permit(cx, action, arn);\n";
        for (path, count) in [
            ("crates/api-s3/src/object.rs", 1),
            ("crates/api/src/call.rs", 1),
            ("crates/jobs/src/stage.rs", 0),
            ("crates/server/src/app.rs", 0),
        ] {
            let file = File {
                path: path.to_owned(),
                text: text.to_owned(),
            };
            assert_eq!(check(&file).len(), count, "{path}");
        }
    }
}
