//! Ends, checksums, compression.

use super::case::{Case, made, refused};
use super::tar::{Header, Tar};
use std::io::Write;

pub(crate) fn cases() -> Vec<Case> {
    [ends(), compressed()].into_iter().flatten().collect()
}

fn t() -> Tar {
    Tar::new()
}

fn small() -> Vec<u8> {
    t().file("f", "text").end()
}

fn ends() -> Vec<Case> {
    let with_sum = |change: fn(&mut Vec<u8>)| {
        let mut bytes = small();
        change(&mut bytes);
        bytes
    };
    let signed = {
        // Some old archives have the sum of signed bytes.
        let mut block = Header::new(b'0', b"\xe9").block();
        block[148..156].fill(b' ');
        let sum: i64 = block.iter().map(|b| i64::from(b.cast_signed())).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        [block, vec![0; 1024]].concat()
    };
    vec![
        refused("nothing at all", Vec::new(), "empty"),
        made("two blocks of zeros", vec![0; 1024], &["n . 0"]),
        made("one block of zeros", vec![0; 512], &["n . 0"]),
        made("no end", t().file("f", "text").0, &["f f text"]),
        made("one block at the end", t().file("f", "text").raw([0; 512]).0, &["f f text"]),
        made("later entries do not exist", t().file("f", "text").raw([0; 512]).file("../x", "").end(), &["n . 1"]),
        made("rubbish behind the end", [small(), vec![b'x'; 5000]].concat(), &["f f text"]),
        made("padded to 10 KiB", [small(), vec![0; 8192]].concat(), &["f f text"]),
        made("a signed checksum", signed, &["n . 1"]),
        refused("cut in a header", small()[..100].to_vec(), "cut off"),
        refused("cut in the contents", small()[..514].to_vec(), "cut off"),
        refused("cut after the first of two", [t().file("a", "x").0, small()[..300].to_vec()].concat(), "cut off"),
        refused("a wrong checksum", with_sum(|bytes| bytes[0] ^= 1), "checksum"),
        refused("no search for the next header", [vec![1; 512], small()].concat(), "checksum"),
        refused("a checksum that is no number", with_sum(|bytes| bytes[148] = b'x'), "checksum"),
        refused("text", b"#!/bin/sh\necho this is no archive\n".repeat(40), "checksum"),
        refused("a zip", [&b"PK\x03\x04"[..], &[0x55; 600]].concat(), "checksum"),
        refused("noise", (0..5000u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect(), ""),
        refused("a header of 0xff", vec![0xff; 1024], ""),
        made("many files", (0..3000).fold(t(), |tar, i| tar.file(format!("d/{i}"), "x")).end(), &["n d 3000"]),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("memory")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn compressed() -> Vec<Case> {
    let tar = small();
    let (first, second) = tar.split_at(700);
    let broken = |bytes: &[u8], from_end: usize| {
        let mut bytes = bytes.to_vec();
        let at = bytes.len() - from_end;
        bytes[at] ^= 0x55;
        bytes
    };
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    let text = &["f f text"];
    let zeros = vec![0; 64 << 20];
    vec![
        made("gzip", gzip(&tar), text),
        made("gzip in members", [gzip(first), gzip(second)].concat(), text),
        made("gzip with an empty member", [gzip(b""), gzip(&tar), gzip(b"")].concat(), text),
        made("gzip padded with zeros", [gzip(&tar), vec![0; 3000]].concat(), text),
        refused("gzip and rubbish", [gzip(&tar), b"rubbish".to_vec()].concat(), "rubbish"),
        refused("gzip, zeros, rubbish", [gzip(&tar), vec![0; 9], b"x".to_vec()].concat(), "rubbish"),
        refused("gzip, a wrong checksum", broken(&gzip(&tar), 6), "gzip"),
        refused("gzip, a wrong length", broken(&gzip(&tar), 2), "gzip"),
        refused("gzip, a wrong checksum of an empty last member", [gzip(&tar), broken(&gzip(b""), 6)].concat(), "gzip"),
        refused("gzip cut in its trailer", gzip(&tar)[..gzip(&tar).len() - 3].to_vec(), "cut off"),
        refused("gzip cut in its header", gzip(&tar)[..5].to_vec(), "cut off"),
        refused("gzip of nothing", gzip(b""), "empty"),
        refused("gzip in gzip", gzip(&gzip(&tar)), "c"),
        made("zstd", zstd(&tar), text),
        made("zstd in frames", [zstd(first), zstd(second)].concat(), text),
        made("zstd after a skippable frame", [&skippable[..], &zstd(&tar), &skippable].concat(), text),
        refused("zstd cut", zstd(&tar)[..20].to_vec(), ""),
        refused("zstd and rubbish", [zstd(&tar), b"rubbish".to_vec()].concat(), ""),
        refused("zstd with a window of 2 GiB", b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec(), ""),
        made("xz", xz(&tar), text),
        made("xz in streams", [xz(first), xz(second)].concat(), text),
        refused("xz cut", xz(&tar)[..xz(&tar).len() - 5].to_vec(), ""),
        refused("xz, a wrong check", broken(&xz(&tar), 30), ""),
        refused("xz and rubbish", [xz(&tar), b"rubbish!".to_vec()].concat(), ""),
        made("a bomb of zeros behind the end", gzip(&[&tar[..], &zeros].concat()), text),
        refused("a bomb in an extended header", gzip(&t().extension(b'x', &zeros).0), "1 MiB"),
        made("contents that compress well stay small", gzip(&t().file("z", &zeros).end()), &["s z 67108864"]),
    ]
}
