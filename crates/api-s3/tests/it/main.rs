//! Requests in, answers out, through the same table and wrapper that the server uses.

#[cfg(test)]
mod bucket;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod delete;
#[cfg(test)]
mod list;
#[cfg(test)]
mod multipart;
#[cfg(test)]
mod object;
#[cfg(test)]
mod tagging;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod world;
