//! The metadata store: transactions, migrations, the resource table and the event outbox.
//!
//! Owns the database driver and the tables that every engine shares: `resources`, `tags`,
//! `settings` and `events`. Engines own their own tables beside these and reach them through
//! [`Tx`] and [`Reader`] with SQL that both SQLite and PostgreSQL accept; no other crate names a
//! driver. This crate must never know what a job, an object or a protocol is.
//!
//! The store is one SQLite file, or a PostgreSQL database that several servers share; `session.rs`
//! is where the two meet.
//!
//! Start at [`Meta::write`]: every change of the product goes through it, together with the
//! [`Event`](sightline_types::Event) that records it.

pub mod backup;
mod database;
mod error;
pub mod lease;
mod load;
mod migrate;
pub mod outbox;
mod postgres;
mod postgres_tls;
mod postgres_url;
mod postgres_value;
pub mod resource;
mod session;
pub mod settings;
mod sqlite;
pub mod tags;
pub mod transfer;
mod value;
mod writer;

pub use database::{Meta, MetaOptions, PostgresOptions};
pub use error::MetaError;
pub use load::WriterLoad;
pub use value::{FromValue, Reader, Row, Tx, Value, ValueRef};
