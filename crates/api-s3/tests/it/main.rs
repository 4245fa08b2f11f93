//! Requests in, answers out.
