//! A reverse proxy before a registry: it passes everything on, but for what a
//! test asks it to do wrong. Also the server that gives tokens.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Blobs are cut after so many bytes, so many times.
    Cut(usize, usize),
    /// Blobs are cut, and `Range` is not understood afterwards.
    CutWithoutRanges(usize, usize),
    /// A byte of each blob is another one.
    Corrupt,
    /// So many requests are answered with this status and this `Retry-After`.
    Busy(usize, u16, &'static str),
    /// Blobs are not there.
    NoBlobs,
    /// Only with a token, which serves so many requests.
    Token(usize),
    /// Only with a token, of which this is said to be the life.
    TokenLife(&'static str),
    /// Blobs of more bytes than this stop in their middle, and stay so.
    Hang(usize),
    /// Large blobs come a little at a time, a thousand bytes every 50 ms, and
    /// their last byte is another one.
    Slow,
    /// The first good answer of each address ends in its middle.
    Broken,
    /// Blobs are elsewhere: at this address, with the same path.
    Elsewhere(String),
    /// Every answer is this one.
    Always(u16, &'static str, Vec<u8>),
    /// The manifest is something else than its digest.
    OtherManifest(Vec<u8>),
    /// Bytes behind the end of each blob.
    Longer,
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    /// What is left of a fault that happens so many times.
    count: usize,
    tokens: usize,
    broken: Vec<String>,
}

/// The proxy; its threads end with the test.
pub struct Proxy {
    pub port: u16,
    log: Arc<Mutex<Log>>,
}

struct Request {
    path: String,
    head: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Proxy {
    /// Starts before the registry on `upstream`.
    pub fn start(upstream: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let log = Arc::new(Mutex::new(Log::default()));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (fault, log) = (fault.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(&stream, upstream, &fault, &log));
            }
        });
        Self { port, log }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `METHOD PATH [range] [auth]` of each request so far.
    pub fn seen(&self) -> Vec<String> {
        self.log.lock().expect("no panic").lines.clone()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut from = BufReader::new(stream);
    let mut first = String::new();
    from.read_line(&mut first).ok().filter(|n| *n > 0)?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut head = vec![];
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let mut request = Request { path, head, body: Vec::new() };
    let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    from.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn answer(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let _ = stream.shutdown(Shutdown::Write);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
}

fn serve(stream: &TcpStream, upstream: u16, fault: &Fault, log: &Mutex<Log>) {
    // A TLS greeting is no HTTP: the client finds out by the closed door.
    let mut first = [0];
    if stream.peek(&mut first).unwrap_or(0) == 0 || first[0] == 0x16 {
        return;
    }
    let Some(request) = read_request(stream) else { return };
    let authorization = request.header("authorization").unwrap_or("-").to_owned();
    let range = request.header("range").unwrap_or("-");
    let line = format!("{} {range} {authorization} {}", request.path, String::from_utf8_lossy(&request.body));
    log.lock().expect("no panic").lines.push(line.trim_end().to_owned());
    let is_blob = request.path.contains("/blobs/");
    match fault {
        Fault::Busy(times, status, after) => {
            let mut log = log.lock().expect("no panic");
            if log.count < *times {
                log.count += 1;
                let headers = if after.is_empty() { String::new() } else { format!("Retry-After: {after}\r\n") };
                let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
                drop(log);
                return answer(stream, *status, &format!("{headers}RateLimit-Remaining: 0;w=21600\r\n"), body);
            }
        }
        Fault::NoBlobs if is_blob => {
            return answer(
                stream,
                404,
                "",
                br#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#,
            );
        }
        Fault::Token(_) | Fault::TokenLife(_) => {
            let (times, seconds) = match fault {
                Fault::Token(times) => (*times, "300"),
                Fault::TokenLife(seconds) => (99, *seconds),
                _ => unreachable!(),
            };
            if request.path.starts_with("/token") {
                let mut log = log.lock().expect("no panic");
                log.tokens += 1;
                log.count = times;
                let text = format!(r#"{{"access_token":"T{}","expires_in":{seconds}}}"#, log.tokens);
                drop(log);
                return answer(stream, 200, "", text.as_bytes());
            }
            let mut log = log.lock().expect("no panic");
            let good = authorization == format!("Bearer T{}", log.tokens) && log.count > 0;
            if !good {
                drop(log);
                let host = request.header("host").unwrap_or_default();
                let challenge = format!(
                    "WWW-Authenticate: Bearer realm=\"http://{host}/token?x=1\",service=\"the service\",scope=\"repository:a:pull\"\r\n"
                );
                return answer(stream, 401, &challenge, br#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#);
            }
            log.count -= 1;
        }
        Fault::Elsewhere(to) if is_blob => {
            return answer(stream, 307, &format!("Location: {to}{}\r\n", request.path), b"");
        }
        Fault::Always(status, headers, body) => return answer(stream, *status, headers, body),
        Fault::OtherManifest(bytes) if request.path.contains("/manifests/") => {
            return answer(stream, 200, "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n", bytes);
        }
        _ => {}
    }
    pass_on(stream, upstream, &request, fault, log, is_blob);
}

fn pass_on(mut stream: &TcpStream, upstream: u16, request: &Request, fault: &Fault, log: &Mutex<Log>, is_blob: bool) {
    let Ok(mut to) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
    let mut head = format!("GET {} HTTP/1.1\r\n", request.path);
    for line in &request.head {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let ranges = !matches!(fault, Fault::CutWithoutRanges(..)) || name != "range";
        if name != "connection"
            && ranges
            && !(name == "authorization" && matches!(fault, Fault::Token(_) | Fault::TokenLife(_)))
        {
            head.push_str(line);
            head.push_str("\r\n");
        }
    }
    let _ = to.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
    let mut whole = Vec::new();
    let _ = to.read_to_end(&mut whole);
    let body = whole.windows(4).position(|w| w == b"\r\n\r\n").map_or(whole.len(), |at| at + 4);
    match fault {
        Fault::Cut(after, times) | Fault::CutWithoutRanges(after, times) if is_blob && whole.len() > body + after => {
            let mut log = log.lock().expect("no panic");
            if log.count < *times {
                log.count += 1;
                whole.truncate(body + after);
            }
        }
        Fault::Broken if whole.starts_with(b"HTTP/1.1 200") => {
            let mut log = log.lock().expect("no panic");
            if !log.broken.contains(&request.path) {
                log.broken.push(request.path.clone());
                whole.truncate(usize::midpoint(body, whole.len()));
            }
        }
        Fault::Corrupt if is_blob && whole.len() > body + 100 => whole[body + 50] ^= 1,
        Fault::Longer if is_blob => {
            let text = String::from_utf8_lossy(&whole[..body]).replace("Content-Length", "X-Length");
            whole = [text.as_bytes(), &whole[body..], b"more"].concat();
        }
        _ => {}
    }
    if matches!(fault, Fault::Hang(most) if is_blob && whole.len() > body + most) {
        let _ = stream.write_all(&whole[..usize::midpoint(body, whole.len())]);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    if *fault == Fault::Slow && is_blob && whole.len() > 2000 {
        whole.last_mut().into_iter().for_each(|last| *last ^= 1);
        for piece in whole.chunks(1000) {
            let _ = stream.write_all(piece);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        whole.clear();
    }
    let _ = stream.write_all(&whole);
    let _ = stream.shutdown(Shutdown::Both);
}
