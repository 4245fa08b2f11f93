//! The shape of an operation: what its request and answer hold and where each part travels.
