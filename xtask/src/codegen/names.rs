//! From the names of a model to the names of Rust.

/// Words that cannot name a field as they are.
const KEYWORDS: [&str; 12] = [
    "as", "box", "else", "enum", "fn", "impl", "in", "match", "mod", "ref", "type", "use",
];

/// `S3Uri` to `s3_uri`: a word begins at a capital after a small letter or digit, and at the last
/// capital of a run of them before a small letter.
pub(super) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, character) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| chars.get(index));
        let after = chars.get(index + 1);
        let ends_run = before.is_some_and(|c| c.is_ascii_uppercase())
            && after.is_some_and(char::is_ascii_lowercase);
        let after_small = before.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if character.is_ascii_uppercase() && (after_small || ends_run) {
            snake.push('_');
        }
        snake.push(if character.is_ascii_alphanumeric() {
            character.to_ascii_lowercase()
        } else {
            '_'
        });
    }
    snake
}

/// The field of a member.
pub(super) fn field(name: &str) -> String {
    let snake = snake(name);
    if KEYWORDS.contains(&snake.as_str()) {
        format!("r#{snake}")
    } else {
        snake
    }
}

/// The static of a shape.
pub(super) fn constant(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// A type of Rust: the model's name with a capital first.
pub(super) fn type_name(name: &str) -> String {
    capitalized(name.trim_start_matches('_'))
}

/// With its first letter as a capital.
pub(super) fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect()
}

/// The variant of an enumeration's value: `aws:kms` to `AwsKms`, `GZIP` to `Gzip`.
pub(super) fn variant(value: &str) -> String {
    let word = |word: &str| {
        let shouted = word.len() > 1
            && word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if shouted {
            capitalized(&word.to_ascii_lowercase())
        } else {
            capitalized(word)
        }
    };
    let words = value.split(|c: char| !c.is_ascii_alphanumeric());
    let name: String = words.filter(|text| !text.is_empty()).map(word).collect();
    match name.as_str() {
        "" => "Empty".to_owned(),
        "Self" => "SelfValue".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("V{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_words_in_them() {
        let cases = [
            ("S3Uri", "s3_uri"),
            ("VolumeSizeInGB", "volume_size_in_gb"),
            ("KmsKeyId", "kms_key_id"),
            ("SSEKMSKeyId", "ssekms_key_id"),
            ("ETag", "e_tag"),
            ("logGroupName", "log_group_name"),
            ("Type", "r#type"),
            ("ChecksumCRC32C", "checksum_crc32_c"),
        ];
        for (name, expected) in cases {
            assert_eq!(field(name), expected);
        }
        assert_eq!(constant("ProcessingJobName"), "PROCESSING_JOB_NAME");
        assert_eq!(type_name("__string"), "String");
    }

    #[test]
    fn values_become_variants() {
        let cases = [
            ("FullyReplicated", "FullyReplicated"),
            ("GZIP", "Gzip"),
            ("aws:kms", "AwsKms"),
            ("us-east-1", "UsEast1"),
            ("ml.m5.xlarge", "MlM5Xlarge"),
            ("2xlarge", "V2xlarge"),
            ("AES256", "Aes256"),
            ("", "Empty"),
        ];
        for (value, expected) in cases {
            assert_eq!(variant(value), expected);
        }
    }
}
