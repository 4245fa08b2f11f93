//! Tags of buckets and objects.

use std::collections::BTreeMap;

use sightline_identity::Permit;
use sightline_meta::{Reader, Tx};

use crate::bucket::demand;
use crate::read::find;
use crate::{BucketName, Error, ObjectKey, Objects, VersionId, event, store};

/// Names and values that people give to a thing to find or group it by.
pub type Tags = BTreeMap<String, String>;

/// Tags that an object may have, as S3 has it.
const OBJECT_TAGS_MAX: usize = 10;
/// Tags that a bucket may have.
const BUCKET_TAGS_MAX: usize = 50;
/// Characters of a tag's name.
const NAME_CHARS_MAX: usize = 128;
/// Characters of a tag's value.
const VALUE_CHARS_MAX: usize = 256;

/// Makes a set of tags of pairs, by S3's rules for those of an object.
pub fn check_tags(pairs: Vec<(String, String)>) -> Result<Tags, Error> {
    tags_of(pairs, OBJECT_TAGS_MAX)
}

fn tags_of(pairs: Vec<(String, String)>, max: usize) -> Result<Tags, Error> {
    if max < pairs.len() {
        return Err(Error::TooManyTags { max });
    }
    let mut tags = Tags::new();
    for (name, value) in pairs {
        let wrong = |why| {
            Err(Error::InvalidTag {
                name: name.clone(),
                why,
            })
        };
        if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || !name.chars().all(may_stand) {
            return wrong("The TagKey you have provided is invalid");
        }
        if VALUE_CHARS_MAX < value.chars().count() || !value.chars().all(may_stand) {
            return wrong("The TagValue you have provided is invalid");
        }
        if name.starts_with("aws:") {
            return wrong("System tags cannot be added/updated by requester");
        }
        if tags.contains_key(&name) {
            return wrong("Cannot provide multiple Tags with the same key");
        }
        tags.insert(name, value);
    }
    Ok(tags)
}

/// Letters, numbers and spaces of any script, and these signs.
fn may_stand(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "+-=._:/@".contains(character)
}

impl Objects {
    /// The tags of an object, and its version.
    pub async fn tags(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<(Tags, Option<VersionId>), Error> {
        permit.expect_action(match version {
            None => "s3:GetObjectTagging",
            Some(_) => "s3:GetObjectVersionTagging",
        });
        let (bucket, key, version) = (bucket.clone(), key.clone(), version.cloned());
        let read = move |reader: &Reader<'_>| {
            let object = find(reader, &bucket, &key, version.as_ref())?;
            Ok((object.attributes.tags, object.version))
        };
        self.meta.read(read).await
    }

    /// Gives an object other tags, and tells its version.
    pub async fn set_tags(
        &self,
        permit: &Permit,
        (bucket, key): (&BucketName, &ObjectKey),
        version: Option<&VersionId>,
        tags: Tags,
    ) -> Result<Option<VersionId>, Error> {
        let event = event(permit, bucket, Some(key));
        let (bucket, key, version) = (bucket.clone(), key.clone(), version.cloned());
        let write = move |tx: &mut Tx<'_>| {
            let mut object = find(tx, &bucket, &key, version.as_ref())?;
            object.attributes.tags = tags;
            let current = store::object(tx, &bucket, &key)?;
            if current.is_some_and(|current| current.rank == object.rank) {
                store::put_object(tx, &bucket, &object)?;
            } else {
                store::set_kept_attributes(tx, &bucket, &object)?;
            }
            tx.record(&event)?;
            Ok(object.version)
        };
        self.meta.write(write).await
    }

    /// Gives a bucket other tags.
    pub async fn set_bucket_tags(
        &self,
        permit: &Permit,
        name: &BucketName,
        pairs: Vec<(String, String)>,
    ) -> Result<(), Error> {
        permit.expect_action("s3:PutBucketTagging");
        let tags = tags_of(pairs, BUCKET_TAGS_MAX)?;
        let (event, name) = (event(permit, name, None), name.clone());
        let write = move |tx: &mut Tx<'_>| {
            demand(tx, &name)?;
            store::set_bucket_tags(tx, &name, &tags)?;
            tx.record(&event)?;
            Ok(())
        };
        self.meta.write(write).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(&str, &str)]) -> bool {
        let pairs = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        check_tags(pairs.collect()).is_ok()
    }

    #[test]
    fn tags_follow_the_rules_of_s3() {
        let long = "é".repeat(128);
        let longer = "é".repeat(129);
        let value = "v".repeat(256);
        let too_long = "v".repeat(257);
        let cases: [(&[(&str, &str)], bool); 10] = [
            (&[], true),
            (&[("a", ""), ("b", "x y+-=._:/@")], true),
            (&[(&long, &value)], true),
            (&[(&longer, "")], false),
            (&[("a", &too_long)], false),
            (&[("", "x")], false),
            (&[("aws:a", "x")], false),
            (&[("a", "1"), ("a", "2")], false),
            (&[("a<b", "x")], false),
            (&[("a", "x\n")], false),
        ];
        for (pairs, expected) in cases {
            assert_eq!(verdict(pairs), expected, "{pairs:?}");
        }
        let names: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(verdict(&many[..10]) && !verdict(&many));
    }
}
