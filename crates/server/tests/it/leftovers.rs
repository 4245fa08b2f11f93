//! What is left over is collected while the server runs.

use std::time::Duration;

use http::Method;
use tokio::sync::watch;

use crate::world::{Ask, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the server collects unless it is told otherwise.
const EVERY: Duration = Duration::from_secs(600);

fn blobs(world: &World) -> usize {
    let folder = world.directory().join("blobs").join("blobs");
    let shards = std::fs::read_dir(folder).unwrap();
    let files = shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count());
    files.sum()
}

#[tokio::test]
async fn an_abandoned_upload_ends_by_itself_and_its_parts_with_it() {
    let world = World::new().await;
    let bucket = world.assembly.default_bucket.clone();
    let begun = Ask::s3(Method::POST, &format!("/{bucket}/k?uploads"), "");
    let begun = world.ask(begun).await;
    let (_, id) = begun.text.split_once("<UploadId>").unwrap();
    let (id, _) = id.split_once("</UploadId>").unwrap();
    let part = format!("/{bucket}/k?partNumber=1&uploadId={id}");
    let part = Ask::s3(Method::PUT, &part, vec![b'x'; 200_000]);
    assert_eq!(world.ask(part).await.status, 200);
    assert_eq!(blobs(&world), 1);
    let list = || Ask::s3(Method::GET, &format!("/{bucket}?uploads"), "");

    let upkeep = world.assembly.upkeep.clone();
    let (end, ended) = watch::channel(false);
    let watched = async {
        world.clock.until_asleep_for(EVERY).await;
        world.clock.advance(89 * DAY);
        world.clock.until_asleep_for(EVERY).await;
        assert!(world.ask(list()).await.text.contains(id), "not old yet");
        world.clock.advance(2 * DAY);
        while world.ask(list()).await.text.contains(id) {}
        world.clock.until_asleep_for(EVERY).await;
        assert_eq!(blobs(&world), 0);
        let events = world.events("AbortMultipartUpload").await;
        assert_eq!(events[0]["sourceIPAddress"], "sightline", "{events:?}");
        end.send_replace(true);
    };
    tokio::join!(upkeep.run(ended), watched);
}
