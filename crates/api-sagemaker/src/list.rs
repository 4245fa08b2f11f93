//! What all lists have in common.

use sightline_meta::resource::{List, SortBy};
use sightline_types::{SortOrder, Timestamp};

use crate::model;

/// Items on a page when the request does not say.
const PAGE_DEFAULT: u32 = 10;

/// The members that every list request of jobs has.
pub(crate) struct ListRequest {
    pub(crate) name_contains: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) created: (Option<Timestamp>, Option<Timestamp>),
    pub(crate) modified: (Option<Timestamp>, Option<Timestamp>),
    pub(crate) sort_by: Option<model::SortBy>,
    pub(crate) sort_order: Option<model::SortOrder>,
    pub(crate) max_results: Option<i32>,
    pub(crate) next_token: Option<String>,
}

impl ListRequest {
    /// Jobs are listed by time of creation, the oldest first, unless the request says otherwise.
    pub(crate) fn into_query(self) -> List {
        List {
            name_contains: self.name_contains,
            status: self.status,
            created_after: self.created.0,
            created_before: self.created.1,
            modified_after: self.modified.0,
            modified_before: self.modified.1,
            sort_by: match self.sort_by {
                Some(model::SortBy::Name) => SortBy::Name,
                Some(model::SortBy::Status) => SortBy::Status,
                Some(model::SortBy::CreationTime) | None => SortBy::CreationTime,
            },
            order: match self.sort_order {
                Some(model::SortOrder::Descending) => SortOrder::Descending,
                Some(model::SortOrder::Ascending) | None => SortOrder::Ascending,
            },
            limit: self
                .max_results
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(PAGE_DEFAULT),
            next_token: self.next_token,
        }
    }
}

/// The pairs of a request's tags.
pub(crate) fn pairs(tags: Option<Vec<model::Tag>>) -> Vec<(String, String)> {
    tags.unwrap_or_default()
        .into_iter()
        .map(|tag| (tag.key, tag.value))
        .collect()
}

/// The query of a list request; every one has these members, each in a type of its own.
macro_rules! list_query {
    ($input:expr) => {
        $crate::list::ListRequest {
            name_contains: $input.name_contains,
            status: $input
                .status_equals
                .map(|status| status.as_str().to_owned()),
            created: ($input.creation_time_after, $input.creation_time_before),
            modified: (
                $input.last_modified_time_after,
                $input.last_modified_time_before,
            ),
            sort_by: $input.sort_by,
            sort_order: $input.sort_order,
            max_results: $input.max_results,
            next_token: $input.next_token,
        }
        .into_query()
    };
}

pub(crate) use list_query;
