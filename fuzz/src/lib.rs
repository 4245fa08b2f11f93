//! What must hold for any bytes: no panic, no lost meaning, nothing out of proportion.
//!
//! Each target is a function of bytes here, so that an input that was found can be run in a
//! debugger or a test; the files in `targets/` only hand the fuzzer's bytes to it.

mod chunked;
mod document;
mod policy;
mod post;
mod signature;

pub use chunked::chunked;
pub use document::{address, form, json, xml};
pub use policy::policy;
pub use post::post;
pub use signature::signature;

/// Takes one byte off the front; zero when there is none.
fn take(data: &mut &[u8]) -> u8 {
    let Some((first, rest)) = data.split_first() else {
        return 0;
    };
    *data = rest;
    *first
}
