//! The one way out: the server's API, through a socket that belongs to the job.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::thread;

use sightline_ports::{Exit, HostName, Network};

use crate::rig::Rig;

/// Asks the API twice, and others in vain.
const ASKING: &str = r#"
import socket, sys, urllib.request
for _ in range(2):
    print(urllib.request.urlopen("http://127.0.0.1:7070/x", timeout=10).read().decode())
for address in [("127.0.0.1", 7071), ("192.0.2.1", 80)]:
    try:
        socket.create_connection(address, timeout=5)
        print("reached", address)
    except OSError as error:
        print(error.strerror)
sys.exit(5)
"#;

#[tokio::test]
async fn a_job_with_the_api_reaches_that_and_nothing_else() {
    let rig = Rig::new();
    let socket = rig.path("api.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = thread::spawn(move || {
        let mut requests = Vec::new();
        for _ in 0..4 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let count = stream.read(&mut request).unwrap();
            requests.push(String::from_utf8_lossy(&request[..count]).into_owned());
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            stream.write_all(answer.as_bytes()).unwrap();
        }
        requests
    });
    let (mut spec, lines) = rig.spec(&["python3", "-c", ASKING]);
    spec.network = Network::Api { socket, port: 7070 };
    // Two instances share the socket.
    let mut second = spec.instances[0].clone();
    second.0 = HostName::numbered(2);
    spec.instances.push(second);
    let mut job = sightline_ports::Launcher::start(&rig.launcher, spec)
        .await
        .unwrap();
    while let Some(report) = job.next_exit().await {
        assert_eq!(report.exit, Exit::Code(5), "{:?}", lines.printed());
    }
    let expected = [
        "hello",
        "hello",
        "Connection refused",
        "Network is unreachable",
    ];
    assert_eq!(lines.printed(), expected);
    for request in server.join().unwrap() {
        assert!(request.starts_with("GET /x HTTP/1.1"), "{request}");
    }
    let mode = rig
        .path("api.sock")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may use the job's socket");
    let preamble = lines.of(2).join("\n");
    assert!(
        preamble.contains("except the server's API at http://127.0.0.1:7070"),
        "{preamble}"
    );
}
