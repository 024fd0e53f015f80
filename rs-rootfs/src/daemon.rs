//! `docker-daemon:`: an image out of a running Docker daemon (Engine API,
//! `GET /images/NAME/get`), over its socket: one request of HTTP/1.1.

use crate::archive::{self, Pick};
use crate::image::{Image, Options};
use crate::reference::Reference;
use anyhow::{Context, Result, bail};
use chain::SysError;
use nix::errno::Errno;
use serde::Deserialize;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const SOCKET: &str = "/var/run/docker.sock";
/// The daemon may take long to answer: it packs the image first.
const SILENCE: Duration = Duration::from_mins(5);
const HEAD_MAX: u64 = 64 << 10;
const ERROR_MAX: u64 = 64 << 10;

/// Opens the image that the daemon knows as `name`.
///
/// # Errors
/// No daemon, no such image, or what it sends is none.
pub fn open(name: &OsStr, options: &Options) -> Result<Image> {
    let text = name.to_str().context("invalid reference format")?;
    let (stream, host) = connect()?;
    let body = request(stream, &host, &format!("/images/{}/get", name_for_api(text)?))?;
    let file = archive::spool(Box::new(body)).context("the daemon's answer")?;
    archive::open_docker(file, &Pick::Only, options)
}

/// A whole name, or an ID: nothing else becomes part of the address.
fn name_for_api(text: &str) -> Result<String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = !hex.is_empty() && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex && (hex.len() == 64 || text.len() != hex.len()) {
        return Ok(text.to_owned());
    }
    Ok(text.parse::<Reference>()?.familiar())
}

type Stream = Box<dyn ReadWrite>;

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

/// Connects to where `DOCKER_HOST` says.
fn connect() -> Result<(Stream, String)> {
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| format!("unix://{SOCKET}"));
    if let Some(path) = host.strip_prefix("unix://") {
        let path = Path::new(path);
        let stream = UnixStream::connect(path).map_err(|error| refused(path, &error))?;
        stream.set_read_timeout(Some(SILENCE))?;
        return Ok((Box::new(stream), "docker".to_owned()));
    }
    if let Some(address) = host.strip_prefix("tcp://") {
        let address = address.trim_end_matches('/');
        let stream = TcpStream::connect(address)
            .map_err(|error| anyhow::anyhow!("cannot connect to {host}: {}", crate::reason(&error)))?;
        stream.set_read_timeout(Some(SILENCE))?;
        return Ok((Box::new(stream), address.to_owned()));
    }
    bail!("DOCKER_HOST is '{}': only unix:// and tcp:// are understood", host.escape_default())
}

fn refused(path: &Path, error: &io::Error) -> SysError {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    let hint = match errno {
        Errno::EACCES => Some(match group_of(path) {
            Some(group) => {
                format!("members of the group {group} and root may; an OCI folder (oci:DIR) needs no daemon")
            }
            None => "only root may; an OCI folder (oci:DIR) needs no daemon".to_owned(),
        }),
        Errno::ENOENT | Errno::ECONNREFUSED => {
            Some("no Docker daemon runs there; docker://NAME asks the registry without one".to_owned())
        }
        _ => None,
    };
    SysError { what: format!("cannot connect to {}", path.display()), errno, hint }
}

/// The group that may write to the socket, unless it is root's own.
fn group_of(path: &Path) -> Option<String> {
    let about = std::fs::metadata(path).ok().filter(|about| about.mode() & 0o020 != 0 && about.gid() != 0)?;
    Some(chain::user::group_by_id(about.gid()).map_or_else(|| about.gid().to_string(), |group| group.name))
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

/// Asks, and gives the body of a good answer.
fn request(mut stream: Stream, host: &str, path: &str) -> Result<Body> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: rs-rootfs\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).context("the daemon")?;
    let mut from = BufReader::with_capacity(1 << 16, stream);
    let (status, framing) = head(&mut from).context("the daemon's answer")?;
    let body = Body { from, framing, over: false };
    if status == 200 {
        return Ok(body);
    }
    let mut bytes = Vec::new();
    let _ = body.take(ERROR_MAX).read_to_end(&mut bytes);
    match crate::document::json::<Message>(&bytes) {
        Ok(said) => bail!("{}", said.message),
        Err(_) => bail!("the daemon answered with status {status}"),
    }
}

/// How the body ends.
enum Framing {
    /// After so many bytes.
    Length(u64),
    /// Chunks; so many bytes of this one are left.
    Chunked(u64),
    /// With the connection.
    Close,
}

fn line(from: &mut impl BufRead, left: &mut u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    let n = from.by_ref().take(*left).read_until(b'\n', &mut bytes)?;
    *left -= n as u64;
    if bytes.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is cut off, or no HTTP"));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no HTTP"))
}

/// Reads the status and the headers.
fn head(from: &mut impl BufRead) -> Result<(u16, Framing)> {
    let mut left = HEAD_MAX;
    let first = line(from, &mut left)?;
    let status =
        first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).context("it is no HTTP")?;
    let mut framing = Framing::Close;
    loop {
        let header = line(from, &mut left)?;
        if header.is_empty() {
            return Ok((status, framing));
        }
        let Some((name, value)) = header.split_once(':') else { bail!("it is no HTTP") };
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            framing = Framing::Chunked(0);
        } else if name.eq_ignore_ascii_case("content-length") && matches!(framing, Framing::Close) {
            framing = Framing::Length(value.parse().context("its length is no number")?);
        }
    }
}

/// An answer's body: an end before its end is an error.
struct Body {
    from: BufReader<Stream>,
    framing: Framing,
    over: bool,
}

impl Body {
    /// Reads the size of the next chunk; 0 is the end.
    fn next_chunk(&mut self) -> io::Result<u64> {
        let size = line(&mut self.from, &mut 1024)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16).map_err(|_| io::Error::other("a chunk's size is no number"))
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.over || into.is_empty() {
            return Ok(0);
        }
        if matches!(self.framing, Framing::Chunked(0)) {
            let size = self.next_chunk()?;
            self.framing = Framing::Chunked(size);
            if size == 0 {
                self.over = true;
                return Ok(0);
            }
        }
        let left = match &self.framing {
            Framing::Length(left) | Framing::Chunked(left) => *left,
            Framing::Close => u64::MAX,
        };
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let n = if most == 0 { 0 } else { self.from.read(&mut into[..most])? };
        match &mut self.framing {
            Framing::Close => {}
            Framing::Length(0) => self.over = true,
            _ if n == 0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is cut off")),
            Framing::Length(left) => *left -= n as u64,
            Framing::Chunked(left) => {
                *left -= n as u64;
                if *left == 0 {
                    // The line break after the chunk.
                    line(&mut self.from, &mut 2)?;
                }
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &'static str) -> String {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let server = std::thread::spawn(move || {
            let mut asked = [0; 512];
            let _ = theirs.read(&mut asked);
            let _ = theirs.write_all(text.as_bytes());
        });
        let result = request(Box::new(ours), "docker", "/x").and_then(|mut body| {
            let mut all = String::new();
            body.read_to_string(&mut all)?;
            Ok(all)
        });
        server.join().expect("no panic");
        result.unwrap_or_else(|error| format!("error: {error:#}"))
    }

    #[test]
    fn framings() {
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"),
            "abcde"
        );
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"), "abc");
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\nabc"), "abc");
        assert!(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc").contains("cut off"));
        assert!(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc").contains("cut off"));
        assert!(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").contains("cut off"));
        assert_eq!(body("HTTP/1.1 404 Not Found\r\n\r\n{\"message\":\"No such image: x\"}"), "error: No such image: x");
        assert!(body("garbage\r\n\r\n").contains("no HTTP"));
    }

    #[test]
    fn names() {
        assert_eq!(name_for_api("bash").ok().as_deref(), Some("bash:latest"));
        assert!(name_for_api("../x").is_err() && name_for_api("a b").is_err() && name_for_api("a?b").is_err());
    }
}
