//! A client that signs, over a plain socket: it sends what it is told and hides nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use serde_json::Value;
use sightline_ports::{Clock as _, SystemClock};
use sightline_types::Timestamp;
use sightline_wire::sigv4::{PayloadHash, SecretKey, SessionToken, Signer, sha256};

/// Longer than any answer takes; a server that is silent for longer hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A head has fewer lines than this; more is not an answer.
const HEAD_LINES_MAX: usize = 256;

/// Larger than any answer of a test.
const BODY_BYTES_MAX: usize = 256 << 20;

/// A key that signs requests.
#[derive(Clone, Debug)]
pub struct Key {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: SecretKey,
    /// The token of temporary keys.
    pub token: Option<SessionToken>,
}

/// A request before it is signed.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The service that is signed for.
    pub service: &'static str,
    /// The method.
    pub method: Method,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Ask {
    /// A request with a method, a target and nothing else.
    #[must_use]
    pub fn new(service: &'static str, method: Method, target: impl Into<String>) -> Self {
        Self {
            service,
            method,
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A request in JSON 1.1, with the operation in its target header.
    #[must_use]
    pub fn json(service: &'static str, target: &str, document: &Value) -> Self {
        Self::new(service, Method::POST, "/")
            .with("content-type", "application/x-amz-json-1.1")
            .with("x-amz-target", target)
            .body(document.to_string())
    }

    /// A request of the Query protocol.
    #[must_use]
    pub fn form(service: &'static str, form: impl Into<Vec<u8>>) -> Self {
        Self::new(service, Method::POST, "/")
            .with("content-type", "application/x-www-form-urlencoded")
            .body(form)
    }

    /// A request to S3.
    #[must_use]
    pub fn s3(method: Method, target: impl Into<String>) -> Self {
        Self::new("s3", method, target)
    }

    /// The same with another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// An answer that came whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text; empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The identifier by which the server knows the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        match self.header("x-amzn-requestid") {
            "" => self.header("x-amz-request-id"),
            id => id,
        }
    }

    /// Whether the request succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The code of an error, in whatever protocol it is written; empty if there is none.
    #[must_use]
    pub fn code(&self) -> String {
        if let Some(code) = self.json()["__type"].as_str() {
            return code.rsplit('#').next().unwrap_or_default().to_owned();
        }
        self.element("Code")
    }

    /// The text of the first XML element of this name; empty if there is none.
    #[must_use]
    pub fn element(&self, name: &str) -> String {
        let text = self.text();
        let after = text
            .split_once(&format!("<{name}>"))
            .map(|(_, rest)| rest.to_owned());
        let after = after.unwrap_or_default();
        let inside = after.split_once(&format!("</{name}>"));
        inside
            .map(|(inside, _)| inside.to_owned())
            .unwrap_or_default()
    }
}

/// One connection's worth of requests to one server.
#[derive(Debug)]
pub struct Client {
    address: String,
    region: String,
    key: Key,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of the server at `address`.
    #[must_use]
    pub fn new(address: impl Into<String>, region: impl Into<String>, key: Key) -> Self {
        Self {
            address: address.into(),
            region: region.into(),
            key,
            connection: None,
        }
    }

    /// Lets go of the connection, which the server may have closed; the next request has another.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Signs and sends a request, and reads its answer to the end.
    ///
    /// An error means that nothing is known of what became of the request.
    pub fn send(&mut self, ask: &Ask) -> io::Result<Answer> {
        self.send_at(ask, SystemClock.now())
    }

    /// The same by a clock that shows `now`.
    pub fn send_at(&mut self, ask: &Ask, now: Timestamp) -> io::Result<Answer> {
        let head = self.signed_head(ask, now)?;
        self.exchange(&head, ask)
    }

    /// The ARN of the role that the server gave to the caller, as the SDK asks for it.
    pub fn role(&mut self) -> io::Result<String> {
        let ask = Ask::form("sts", "Action=GetCallerIdentity&Version=2011-06-15");
        let arn = self.send(&ask)?.element("Arn");
        let name = arn.split('/').nth(1).unwrap_or_default();
        let form = format!("Action=GetRole&Version=2010-05-08&RoleName={name}");
        let answer = self.send(&Ask::form("iam", form))?;
        match answer.element("Arn").as_str() {
            "" => Err(io::Error::other(format!("no role: {}", answer.text()))),
            role => Ok(role.to_owned()),
        }
    }

    /// The head of a request as its signer would send it.
    pub fn signed_head(&self, ask: &Ask, now: Timestamp) -> io::Result<Vec<u8>> {
        let uri = format!("http://{}{}", self.address, ask.target);
        let mut request = Request::builder().method(&ask.method).uri(uri);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let (mut parts, ()) = request.body(()).map_err(io::Error::other)?.into_parts();
        let signer = Signer {
            access_key_id: &self.key.id,
            secret: &self.key.secret,
            session_token: self.key.token.as_ref(),
            region: &self.region,
            service: ask.service,
        };
        let payload = PayloadHash::Sha256(sha256(&ask.body));
        signer
            .sign_headers(&mut parts, payload, now)
            .map_err(io::Error::other)?;
        let mut head = format!("{} {} HTTP/1.1\r\n", ask.method, ask.target).into_bytes();
        for (name, value) in &parts.headers {
            line(&mut head, name.as_str(), value.as_bytes());
        }
        line(
            &mut head,
            "content-length",
            ask.body.len().to_string().as_bytes(),
        );
        head.extend_from_slice(b"\r\n");
        Ok(head)
    }

    fn exchange(&mut self, head: &[u8], ask: &Ask) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.address)?,
        };
        let mut whole = head.to_vec();
        whole.extend_from_slice(&ask.body);
        connection.get_mut().write_all(&whole)?;
        let answer = read_answer(&mut connection, ask.method == Method::HEAD)?;
        if !answer.header("connection").eq_ignore_ascii_case("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

/// Sends bytes as they are and reads one answer; the connection ends with it.
pub fn raw(address: &str, bytes: &[u8]) -> io::Result<Answer> {
    let mut connection = connect(address)?;
    // A server that refuses a head need not read the rest.
    let sent = connection.get_mut().write_all(bytes);
    read_answer(&mut connection, false).or_else(|error| sent.and(Err(error)))
}

fn connect(address: &str) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(BufReader::new(stream))
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

fn read_answer(from: &mut BufReader<TcpStream>, head_only: bool) -> io::Result<Answer> {
    let (status, headers) = loop {
        let (status, headers) = read_head(from)?;
        if status != 100 {
            break (status, headers);
        }
    };
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    if head_only || matches!(status, 204 | 304) {
        return Ok(answer);
    }
    if answer
        .header("transfer-encoding")
        .eq_ignore_ascii_case("chunked")
    {
        answer.body = read_chunks(from)?;
    } else {
        let length = answer.header("content-length");
        let length = length.parse().map_err(|_| broken("no content-length"))?;
        answer.body = read_exactly(from, length)?;
    }
    Ok(answer)
}

fn read_head(from: &mut BufReader<TcpStream>) -> io::Result<(u16, HeaderMap)> {
    let first = read_line(from)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| broken("no status line"))?;
    let mut headers = HeaderMap::new();
    for _ in 0..HEAD_LINES_MAX {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| broken("a line is no header"))?;
        let name: HeaderName = name.parse().map_err(|_| broken("a header's name"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| broken("a header's value"))?;
        headers.append(name, value);
    }
    Err(broken("the head does not end"))
}

fn read_line(from: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    let read = from.read_until(b'\n', &mut line)?;
    if read == 0 || line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read_chunks(from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = read_line(from)?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16);
        let size = size.map_err(|_| broken("a chunk's size"))?;
        body.extend(read_exactly(from, size)?);
        read_line(from)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(from: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    if BODY_BYTES_MAX < length {
        return Err(broken("a body too large for a test"));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
}

fn broken(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a broken answer: {what}"),
    )
}
