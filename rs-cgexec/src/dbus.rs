//! As much of D-Bus as one method call needs (the D-Bus specification).
//!
//! A crate for it costs more than it gives here: an async runtime, or a C
//! library, for four messages in a row.

use chain::sys::file::{Fd, Write};
use chain::sys::socket::{Connect, Socket};
use chain::{SysError, sys};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fmt::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the system bus is, unless `DBUS_SYSTEM_BUS_ADDRESS` says otherwise.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// A larger message is none of those that are awaited here.
const MAX: usize = 1 << 20;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus cannot be reached.
    #[error(transparent)]
    System(#[from] SysError),
    /// What was asked was refused.
    #[error("{0}")]
    Refused(String),
    /// No answer in time, or one that makes no sense.
    #[error("no answer from {0}")]
    Silence(&'static str),
}

/// A message's body under construction: little-endian, each value at a
/// multiple of its size.
#[derive(Debug, Default)]
pub struct Body(pub Vec<u8>);

impl Body {
    fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }

    /// `u`, and `b`.
    pub fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// `s`, and `o`.
    pub fn string(&mut self, text: &str) {
        self.number(u32::try_from(text.len()).unwrap_or(0));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(0));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    /// `a…`: what `fill` appends, each element aligned to `align`.
    pub fn array(&mut self, align: usize, fill: impl FnOnce(&mut Self)) {
        self.number(0);
        let length_at = self.0.len() - 4;
        self.align(align);
        let start = self.0.len();
        fill(self);
        let length = u32::try_from(self.0.len() - start).unwrap_or(0);
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// `(sv)`: a property.
    pub fn property(&mut self, name: &str, kind: &str, value: impl FnOnce(&mut Self)) {
        self.align(8);
        self.string(name);
        self.signature(kind);
        value(self);
    }
}

/// A message that came in.
#[derive(Debug, Default)]
pub struct Message {
    /// 2: an answer, 3: an error, 4: a signal.
    kind: u8,
    reply_to: u32,
    /// The signal's or the error's name.
    pub member: String,
    body: Vec<u8>,
}

impl Message {
    /// The strings of a body that is one number, then strings; `numbers` of
    /// them first.
    pub fn strings(&self, numbers: usize) -> Vec<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        for _ in 0..numbers {
            if reader.number().is_none() {
                return Vec::new();
            }
        }
        std::iter::from_fn(|| reader.string()).collect()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Option<u32> {
        self.at = self.at.next_multiple_of(4);
        let bytes = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let end = self.at.checked_add(length)?;
        let text = String::from_utf8_lossy(self.bytes.get(self.at..end)?).into_owned();
        self.at = end + 1;
        Some(text)
    }

    fn string(&mut self) -> Option<String> {
        let length = self.number()?;
        self.text(length as usize)
    }

    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.bytes.get(self.at - 1).copied()
    }
}

/// Reads a whole message from the front of `bytes`, and how long it was.
fn message(bytes: &[u8]) -> Option<(Message, usize)> {
    let mut head = Reader { bytes, at: 4 };
    let (body, _serial, fields) = (head.number()? as usize, head.number()?, head.number()? as usize);
    let start = (16 + fields).next_multiple_of(8);
    let end = start.checked_add(body).filter(|end| *end <= MAX)?;
    let whole = bytes.get(..end)?;
    let mut message = Message { kind: bytes[1], body: whole[start..].to_vec(), ..Message::default() };
    let mut reader = Reader { bytes: whole, at: 16 };
    while reader.at < 16 + fields {
        reader.at = reader.at.next_multiple_of(8);
        let code = reader.byte()?;
        let length = reader.byte()?;
        match reader.text(usize::from(length))?.as_str() {
            "s" | "o" => {
                let text = reader.string()?;
                if code == 3 || code == 4 {
                    message.member = text;
                }
            }
            "g" => {
                let length = reader.byte()?;
                reader.text(usize::from(length))?;
            }
            "u" => {
                let number = reader.number()?;
                if code == 5 {
                    message.reply_to = number;
                }
            }
            _ => break,
        }
    }
    Some((message, end))
}

/// Whom a method call goes to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The service.
    pub name: &'static str,
    /// Its object.
    pub path: &'static str,
    /// The interface that has the method.
    pub interface: &'static str,
}

const BUS: Target =
    Target { name: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };

/// A connection to the system bus.
#[derive(Debug)]
pub struct Bus {
    socket: OwnedFd,
    path: PathBuf,
    serial: u32,
    input: Vec<u8>,
    /// Signals that came before an answer.
    signals: Vec<Message>,
}

impl Bus {
    /// Connects and says who we are.
    ///
    /// # Errors
    /// The bus is not there or does not want us.
    pub fn system() -> Result<Self, Error> {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_default();
        let path = address.strip_prefix("unix:path=").and_then(|rest| rest.split([',', ';']).next());
        let path = PathBuf::from(path.unwrap_or(SYSTEM_BUS));
        let socket = sys::make(&Socket)?;
        sys::make(&Connect { socket: Fd { fd: socket.as_fd(), path: &path } })?;
        let mut bus = Self { socket, path, serial: 0, input: Vec::new(), signals: Vec::new() };
        let uid = nix::unistd::geteuid().to_string();
        let mut hex = String::new();
        for byte in uid.bytes() {
            let _ = write!(hex, "{byte:02x}");
        }
        bus.write(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes(), "the bus wants to know who asks")?;
        let line = bus.line()?;
        if !line.starts_with("OK ") {
            return Err(Error::Refused(format!("the system bus does not accept us: {line}")));
        }
        bus.write(b"BEGIN\r\n", "messages begin")?;
        bus.call(BUS, "Hello", "", &Body::default())?;
        Ok(bus)
    }

    /// Asks for the signals that `rule` names.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn listen(&mut self, rule: &str) -> Result<(), Error> {
        let mut body = Body::default();
        body.string(rule);
        self.call(BUS, "AddMatch", "s", &body).map(drop)
    }

    /// Calls `member` of `target` and waits for the answer.
    ///
    /// # Errors
    /// A refusal, in its own words; silence.
    pub fn call(&mut self, target: Target, member: &str, signature: &str, body: &Body) -> Result<Message, Error> {
        self.serial += 1;
        let serial = self.serial;
        let mut out = Body(vec![b'l', 1, 0, 1]);
        out.number(u32::try_from(body.0.len()).unwrap_or(0));
        out.number(serial);
        out.array(8, |fields| {
            let mut field = |code: u8, kind: &str, value: &str| {
                fields.align(8);
                fields.0.push(code);
                fields.signature(kind);
                if kind == "g" { fields.signature(value) } else { fields.string(value) }
            };
            field(1, "o", target.path);
            field(2, "s", target.interface);
            field(3, "s", member);
            field(6, "s", target.name);
            if !signature.is_empty() {
                field(8, "g", signature);
            }
        });
        out.align(8);
        out.0.extend_from_slice(&body.0);
        self.write(&out.0, "a method call")?;
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.next(until, target.name)?;
            match message.kind {
                2 if message.reply_to == serial => return Ok(message),
                3 if message.reply_to == serial => {
                    let text = message.strings(0).into_iter().next().unwrap_or(message.member);
                    return Err(Error::Refused(text));
                }
                4 => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// The next signal, also one that came before the last answer.
    ///
    /// # Errors
    /// Silence.
    pub fn signal(&mut self, until: Instant, from: &'static str) -> Result<Message, Error> {
        if !self.signals.is_empty() {
            return Ok(self.signals.remove(0));
        }
        loop {
            let message = self.next(until, from)?;
            if message.kind == 4 {
                return Ok(message);
            }
        }
    }

    fn write(&self, bytes: &[u8], why: &str) -> Result<(), SysError> {
        sys::make(&Write { fd: Fd { fd: self.socket.as_fd(), path: Path::new(&self.path) }, bytes, why }).map(drop)
    }

    fn line(&mut self) -> Result<String, Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more(until, BUS.name)?;
        }
    }

    fn next(&mut self, until: Instant, from: &'static str) -> Result<Message, Error> {
        loop {
            if let Some((message, length)) = message(&self.input) {
                self.input.drain(..length);
                return Ok(message);
            }
            self.more(until, from)?;
        }
    }

    /// Waits for more, and takes it.
    fn more(&mut self, until: Instant, from: &'static str) -> Result<(), Error> {
        let left = until.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, left) {
            Ok(0) => return Err(Error::Silence(from)),
            Err(Errno::EINTR) | Ok(_) => {}
            Err(errno) => return Err(self.refused(errno).into()),
        }
        let mut bytes = [0; 4096];
        match nix::unistd::read(&self.socket, &mut bytes) {
            Ok(0) => Err(Error::Silence(from)),
            Ok(_) if self.input.len() > MAX => Err(Error::Silence(from)),
            Ok(length) => {
                self.input.extend_from_slice(&bytes[..length]);
                Ok(())
            }
            Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(self.refused(errno).into()),
        }
    }

    fn refused(&self, errno: Errno) -> SysError {
        SysError { what: format!("cannot read from {}", self.path.display()), errno, hint: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_the_specification_says() {
        let mut body = Body::default();
        body.string("x.scope");
        body.array(8, |properties| properties.property("PIDs", "au", |value| value.array(4, |pids| pids.number(7))));
        let mut wanted = vec![7, 0, 0, 0];
        wanted.extend_from_slice(b"x.scope\0");
        wanted.extend_from_slice(&[24, 0, 0, 0]);
        wanted.extend_from_slice(&[4, 0, 0, 0]);
        wanted.extend_from_slice(b"PIDs\0\x02au\0\0\0\0");
        wanted.extend_from_slice(&[4, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(body.0, wanted);
    }

    #[test]
    fn half_a_message_is_none_yet() {
        assert!(message(&[b'l', 2, 0, 1, 0, 0]).is_none());
        assert!(message(&[]).is_none());
        let mut whole = vec![b'l', 2, 1, 1, 0, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 5, 1, b'u', 0, 3, 0, 0, 0];
        let (found, length) = message(&whole).expect("a message");
        assert_eq!((found.kind, found.reply_to, length), (2, 3, 24));
        whole[12] = 0xff;
        assert!(message(&whole).is_none());
    }
}
