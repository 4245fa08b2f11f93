//! The stores against the contract of their port.

#[cfg(test)]
mod dir;
