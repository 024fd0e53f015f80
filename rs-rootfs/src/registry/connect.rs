//! What is ours of a connection: TLS with our own idea of trust, as ureq's
//! takes roots only, and threads that may be refused.

use chain::interrupt;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::fmt;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector,
    Transport, TransportAdapter,
};
use ureq::{Agent, Error};

/// How often who waits looks for a signal.
const LOOK: Duration = Duration::from_millis(50);

/// An agent that speaks TLS by `tls`, where it is asked for https.
pub(super) fn agent(config: Config, tls: Option<Arc<ClientConfig>>) -> Agent {
    let connector = ConnectProxyConnector::default().chain(TcpConnector::default()).chain(Attend).chain(Tls(tls));
    Agent::with_parts(config, connector, Patient)
}

/// Looks a name up in a thread of its own, which can be left behind; where
/// none can be started, in ours. An address needs no looking up.
#[derive(Debug)]
struct Patient;

impl Resolver for Patient {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let own = (uri.clone(), config.clone());
        let look_up = move || DefaultResolver::default().resolve(&own.0, &own.1, NextTimeout::default());
        if uri.host().is_some_and(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()) {
            return look_up();
        }
        let (to, from) = sync_channel(1);
        let there = look_up.clone();
        match std::thread::Builder::new().name("resolve".to_owned()).spawn(move || to.send(there()).is_ok()) {
            Ok(_) => from.recv_timeout(*timeout.after).map_err(|_| Error::Timeout(timeout.reason))?,
            Err(_) => look_up(),
        }
    }
}

/// Makes connections that a signal ends.
#[derive(Debug)]
struct Attend;

impl<In: Transport> Connector<In> for Attend {
    type Out = Attentive<In>;

    fn connect(&self, _: &ConnectionDetails, below: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(below.map(Attentive))
    }
}

/// Waits for bytes a little at a time: the client itself goes on waiting when
/// a signal comes.
#[derive(Debug)]
struct Attentive<T>(T);

impl<T: Transport> Transport for Attentive<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let (begun, whole) = (Instant::now(), timeout.for_read());
        loop {
            let left = whole.after.saturating_sub(begun.elapsed());
            match self.0.await_input(NextTimeout { after: left.min(LOOK).into(), per_read: None, ..whole }) {
                Err(Error::Timeout(_)) if left > LOOK && interrupt::caught().is_none() => {}
                result => return result,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

struct Tls(Option<Arc<ClientConfig>>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(&self, details: &ConnectionDetails, below: Option<In>) -> Result<Option<Self::Out>, Error> {
        let below = below.ok_or(Error::ConnectionFailed)?;
        let Some(config) = self.0.as_ref().filter(|_| details.needs_tls() && !below.is_tls()) else {
            return Ok(Some(Either::A(below)));
        };
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(host).map_err(|_| Error::BadUri(host.to_owned()))?.to_owned();
        let mut connection =
            ClientConnection::new(Arc::clone(config), name).map_err(|error| Error::Io(std::io::Error::other(error)))?;
        let mut socket = TransportAdapter::new(below.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, stream: StreamOwned { conn: connection, sock: socket } })))
    }
}

struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encrypted")
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
