//! `uuidgen`: a name that nobody else has.

use chain::output::{OutputError, print};
use chain::{Failure, Page, Tool};
use clap::{CommandFactory, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::str::FromStr;
use uuid::Uuid;

const FAILURE: u8 = 1;
const TOOL: Tool = Tool::new("rs-uuidgen", FAILURE).additions(&["time-v7", "count"]).operands_anywhere();

/// Make a new universally unique identifier
#[derive(Debug, Parser)]
#[command(after_help = "Namespaces: @dns @url @oid @x500, or a UUID.

Examples:
  Make a random one:
    uuidgen
  Make the one that belongs to a name:
    uuidgen --sha1 --namespace @dns --name example.org")]
struct Cli {
    /// make a random UUID (version 4)
    #[arg(short = 'r', long = "random", overrides_with_all = ["time", "time_v7", "md5", "sha1"])]
    random: bool,
    /// make one from time and hardware address (version 1)
    #[arg(short = 't', long = "time", overrides_with_all = ["random", "time_v7", "md5", "sha1"])]
    time: bool,
    /// make one from time and random bits (version 7)
    #[arg(short = '7', long = "time-v7", overrides_with_all = ["random", "time", "md5", "sha1"])]
    time_v7: bool,
    /// hash in this namespace
    #[arg(short = 'n', long = "namespace", value_name = "NS")]
    namespace: Option<OsString>,
    /// hash this name
    #[arg(short = 'N', long = "name", value_name = "NAME")]
    name: Option<OsString>,
    /// hash with MD5 (version 3)
    #[arg(short = 'm', long = "md5", overrides_with_all = ["random", "time", "time_v7", "sha1"])]
    md5: bool,
    /// hash with SHA-1 (version 5)
    #[arg(short = 's', long = "sha1", overrides_with_all = ["random", "time", "time_v7", "md5"])]
    sha1: bool,
    /// make this many
    #[arg(short = 'C', long = "count", value_name = "NUM")]
    count: Option<OsString>,
    /// the name is a hexadecimal string
    #[arg(short = 'x', long = "hex")]
    hex: bool,
    /// As the original does, ignored.
    #[arg(hide = true)]
    _rest: Vec<OsString>,
}

/// A command line that makes no sense.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Failure for Error {
    fn status(&self) -> u8 {
        FAILURE
    }
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run(&TOOL, run)
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    let count = match &cli.count {
        None => 1,
        Some(text) => text
            .to_str()
            .and_then(|text| text.trim_ascii_start().parse::<u32>().ok())
            .ok_or_else(|| Error::Usage(format!("invalid count argument: '{}'", text.display())))?,
    };
    let make = maker(cli)?;
    let mut lines = String::new();
    for made in 1..=count {
        lines.push_str(&make().hyphenated().to_string());
        lines.push('\n');
        // Whoever reads them need not wait for the last one.
        if made == count || lines.len() > 1 << 16 {
            print(&lines, FAILURE)?;
            lines.clear();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How the command line wants them made.
fn maker(cli: &Cli) -> Result<Box<dyn Fn() -> Uuid>, Error> {
    let hashed = cli.md5 || cli.sha1;
    let wrong = |message: &str| Err(Error::Usage(message.to_owned()));
    match (&cli.namespace, &cli.name) {
        (None, Some(_)) => return wrong("--name requires --namespace argument"),
        (Some(_), None) => return wrong("--namespace requires --name argument"),
        (Some(_), Some(_)) if !hashed => return wrong("--namespace requires --md5 or --sha1"),
        (None, None) if hashed => return wrong("--md5 or --sha1 requires --namespace argument"),
        (Some(namespace), Some(name)) => {
            let (namespace, name) = (namespace_of(namespace)?, name_of(name, cli.hex)?);
            let md5 = cli.md5;
            return Ok(Box::new(
                move || {
                    if md5 { Uuid::new_v3(&namespace, &name) } else { Uuid::new_v5(&namespace, &name) }
                },
            ));
        }
        (None, None) => {}
    }
    Ok(match (cli.time, cli.time_v7) {
        (true, _) => {
            let node = hardware_address().unwrap_or_else(random_node);
            Box::new(move || Uuid::now_v1(&node))
        }
        (_, true) => Box::new(Uuid::now_v7),
        _ => Box::new(Uuid::new_v4),
    })
}

fn namespace_of(text: &OsStr) -> Result<Uuid, Error> {
    let invalid = || Error::Usage(format!("invalid uuid for namespace: '{}'", text.display()));
    match text.to_str().ok_or_else(invalid)? {
        "@dns" => Ok(Uuid::NAMESPACE_DNS),
        "@url" => Ok(Uuid::NAMESPACE_URL),
        "@oid" => Ok(Uuid::NAMESPACE_OID),
        "@x500" => Ok(Uuid::NAMESPACE_X500),
        alias if alias.starts_with('@') && alias.len() > 1 => {
            Err(Error::Usage(format!("unknown namespace alias: '{alias}'")))
        }
        // The crate reads other forms too, the original this one alone.
        uuid if uuid.len() == 36 => Uuid::from_str(uuid).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}

fn name_of(text: &OsStr, hex: bool) -> Result<Vec<u8>, Error> {
    if !hex {
        return Ok(text.as_bytes().to_vec());
    }
    let odd = || Error::Usage("not a valid hex string".to_owned());
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(|chunk| pair(chunk).ok_or_else(odd)).collect()
}

/// The address of the first network interface that has one.
fn hardware_address() -> Option<[u8; 6]> {
    let mut folders: Vec<_> = std::fs::read_dir("/sys/class/net").ok()?.filter_map(Result::ok).collect();
    folders.sort_by_key(std::fs::DirEntry::file_name);
    folders.iter().find_map(|folder| {
        let text = std::fs::read_to_string(folder.path().join("address")).ok()?;
        let mut node = [0; 6];
        let mut parts = text.trim().split(':');
        for byte in &mut node {
            *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
        }
        (parts.next().is_none() && node != [0; 6]).then_some(node)
    })
}

/// A random one, marked as such by the multicast bit (RFC 9562, 6.10).
fn random_node() -> [u8; 6] {
    let mut node = [0; 6];
    node.copy_from_slice(&Uuid::new_v4().as_bytes()[..6]);
    node[0] |= 1;
    node
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-uuidgen",
        original: Some("uuidgen"),
        command: TOOL.command(Cli::command()),
        calls: &[],
        sections: include_str!("../../man/rs-uuidgen.roff"),
    }
}
