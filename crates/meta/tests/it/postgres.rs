//! What is particular to a store on PostgreSQL: several servers, lost connections, odd texts.

use std::time::Duration;

use sightline_meta::{Meta, MetaError, PostgresOptions, params, settings};
use sightline_testkit::postgres::PostgresServer;
use sightline_testkit::store;

/// The server of a test, or `None` where the package is not installed, which is said aloud.
fn own_server() -> Option<PostgresServer> {
    server(PostgresServer::own())
}

fn shared_server() -> Option<PostgresServer> {
    server(PostgresServer::shared())
}

fn server(started: Result<PostgresServer, String>) -> Option<PostgresServer> {
    match started {
        Ok(server) => Some(server),
        Err(reason) => {
            assert!(
                !store::is_postgres(),
                "this run is about PostgreSQL: {reason}"
            );
            eprintln!("skipped: {reason}");
            None
        }
    }
}

fn open(url: &str) -> Result<Meta, MetaError> {
    Meta::open_postgres(&PostgresOptions {
        url: url.to_owned(),
        server: None,
    })
}

async fn value(meta: &Meta, name: &'static str) -> Result<Option<String>, MetaError> {
    meta.read(move |reader| settings::get(reader, name)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_database_write_in_turn() {
    let Some(server) = shared_server() else {
        return;
    };
    let url = server.database("turns").unwrap();
    // Both bring the schema up to date at once.
    let (one, other) = std::thread::scope(|threads| {
        let one = threads.spawn(|| open(&url).unwrap());
        (open(&url).unwrap(), one.join().unwrap())
    });
    let count = |meta: Meta| async move {
        for _ in 0..50 {
            let counted: Result<(), MetaError> = meta
                .write(|tx| {
                    let found = settings::get(tx, "count")?.unwrap_or_default();
                    let found: i64 = found.parse().unwrap_or(0);
                    settings::put(tx, "count", &(found + 1).to_string())
                })
                .await;
            counted.unwrap();
        }
    };
    tokio::join!(count(one.clone()), count(other.clone()), count(one.clone()));
    assert_eq!(
        value(&other, "count").await.unwrap().as_deref(),
        Some("150")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_with_nul_are_kept_and_ordered() {
    let Some(server) = shared_server() else {
        return;
    };
    let meta = open(&server.database("nul").unwrap()).unwrap();
    let texts = ["a", "a\0", "a\0b", "a\u{1}", "a\u{2}", "ab"];
    meta.write(move |tx| {
        for text in texts {
            settings::put(tx, text, text)?;
        }
        Ok::<(), MetaError>(())
    })
    .await
    .unwrap();
    let found: Vec<(String, String)> = meta
        .read(|reader| {
            reader.query(
                "SELECT name, value FROM settings WHERE name >= $1 AND name < $2 ORDER BY name",
                params!["a", "b"],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
        .map_err(|error: MetaError| error.to_string())
        .unwrap();
    let expected = texts.map(|text| (text.to_owned(), text.to_owned()));
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_hides_a_refused_statement_is_undone_and_others_stay() {
    let Some(server) = shared_server() else {
        return;
    };
    let meta = open(&server.database("hidden").unwrap()).unwrap();
    let hiding = meta.write(|tx| {
        settings::put(tx, "hidden", "1")?;
        drop(tx.execute(
            "INSERT INTO settings (name, value) VALUES ($1, $1)",
            params!["hidden"],
        ));
        Ok::<(), MetaError>(())
    });
    let good = meta.write(|tx| settings::put(tx, "good", "1"));
    let (hiding, good) = tokio::join!(hiding, good);
    assert!(matches!(hiding, Err(MetaError::Postgres(_))), "{hiding:?}");
    good.unwrap();
    assert_eq!(value(&meta, "hidden").await.unwrap(), None);
    assert_eq!(value(&meta, "good").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_another_order_of_texts_is_refused() {
    let Some(server) = shared_server() else {
        return;
    };
    let made = server.sql(
        "postgres",
        "CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    );
    if let Err(reason) = made {
        eprintln!("skipped: {reason}");
        return;
    }
    let opened = open(&server.url("icu"));
    assert!(matches!(opened, Err(MetaError::Collation)), "{opened:?}");
}

#[test]
fn urls_that_would_send_secrets_in_the_clear_are_refused() {
    let cases = [
        ("postgres://u@db.example/s", true),
        ("postgres://u@db.example/s?sslmode=require", true),
        ("postgres://u@db.example/s?sslmode=verify-ca", true),
        (
            "postgres://u@db.example/s?sslmode=verify-full&sslrootcert=%2Fnowhere",
            true,
        ),
        ("postgres://u@127.0.0.1/s?sslrootcert=%2Fnowhere", true),
        ("postgres://u@127.0.0.1/s?sslcert=%2Fnowhere", true),
        ("nonsense", true),
        ("postgres://u@db.example.invalid:1/s?sslmode=disable", false),
        ("postgres://u@127.0.0.1:1/s", false),
        ("postgres://u@%2Fnowhere/s", false),
    ];
    for (url, refused) in cases {
        let opened = open(url);
        match opened {
            Err(MetaError::Url(_)) => assert!(refused, "{url}"),
            Err(MetaError::Unreachable(_)) => assert!(!refused, "{url}"),
            other => panic!("{url}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_database_loses_nothing_acknowledged_and_ends_by_itself() {
    let Some(mut server) = own_server() else {
        return;
    };
    let url = server.database("crash").unwrap();
    let meta = open(&url).unwrap();
    let put = |number: usize| {
        let meta = meta.clone();
        async move {
            let name = format!("key-{number}");
            let written: Result<(), MetaError> =
                meta.write(move |tx| settings::put(tx, &name, "x")).await;
            written
        }
    };
    let mut kept = Vec::new();
    for number in 0..20 {
        put(number).await.unwrap();
        kept.push(number);
    }
    value(&meta, "key-0").await.unwrap();

    server.kill().unwrap();
    for number in 20..25 {
        let refused = put(number).await;
        let lost = matches!(
            refused,
            Err(MetaError::Unreachable(_) | MetaError::OutcomeUnknown(_))
        );
        assert!(lost, "{refused:?}");
    }
    let refused = value(&meta, "key-0").await;
    assert!(
        matches!(refused, Err(MetaError::Unreachable(_))),
        "{refused:?}"
    );

    server.start_again().unwrap();
    put(25).await.unwrap();
    kept.push(25);
    let found: Vec<String> = meta
        .read(|reader| {
            let sql = "SELECT name FROM settings WHERE name >= $1 ORDER BY name";
            reader.query(sql, params!["key-"], |row| row.get(0))
        })
        .await
        .map_err(|error: MetaError| error.to_string())
        .unwrap();
    let mut expected: Vec<String> = kept.iter().map(|number| format!("key-{number}")).collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ended_inside_a_change_is_an_error_and_the_next_change_is_served() {
    let Some(server) = shared_server() else {
        return;
    };
    let url = server.database("ended").unwrap();
    let meta = open(&url).unwrap();
    let cut: Result<(), MetaError> = meta
        .write(|tx| {
            settings::put(tx, "cut", "1")?;
            tx.query_one(
                "SELECT pg_terminate_backend(pg_backend_pid())",
                params![],
                |_| Ok(()),
            )?;
            Ok(())
        })
        .await;
    assert!(matches!(cut, Err(MetaError::Unreachable(_))), "{cut:?}");
    tokio::time::timeout(Duration::from_secs(10), async {
        let next: Result<(), MetaError> = meta.write(|tx| settings::put(tx, "next", "1")).await;
        next.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(value(&meta, "cut").await.unwrap(), None);
    assert_eq!(value(&meta, "next").await.unwrap().as_deref(), Some("1"));
}
