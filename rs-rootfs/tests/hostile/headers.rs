//! Numbers, extended headers, sparse maps: where readers disagree.

use super::case::{Case, made, refused};
use super::tar::{Header, Tar, record};

pub(crate) fn cases() -> Vec<Case> {
    [numbers(), sizes(), records(), extensions(), sparse()].into_iter().flatten().collect()
}

fn t() -> Tar {
    Tar::new()
}

fn file() -> Header {
    Header::new(b'0', "f")
}

fn numbers() -> Vec<Case> {
    let one = |header: Header| t().add(header).end();
    let uid = |uid: &[u8]| t().pax(&[("uid", uid)]).file("f", "").end();
    vec![
        made("blanks around", one(file().patch(100, "  644 \0 ")), &["m f 644"]),
        made("a full field", one(file().patch(108, "00001750")), &["o f 1000:0"]),
        made("base 256", one(file().patch(108, b"\x80\0\0\0\0\0\x03\xe8")), &["o f 1000:0"]),
        made("the largest uid", uid(b"4294967294"), &["o f 4294967294:0"]),
        made("an empty mode", one(file().patch(100, [0; 8])), &["m f 0"]),
        made(
            "a time before 1970 in base 256",
            one(file().patch(136, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
            &["t f -1"],
        ),
        refused("uid -1 means 'leave it' to chown", uid(b"4294967295"), "uid"),
        refused("uid 2^32 is 0 when cut (containerd 2024-40635)", uid(b"4294967296"), "uid"),
        refused("uid below zero", uid(b"-1"), "number"),
        refused("uid -1 in base 256", one(file().patch(108, [0xff; 8])), "uid"),
        refused("gid 2^32 in base 256", one(file().patch(116, b"\x80\0\0\x01\0\0\0\0")), "gid"),
        refused("no digits", one(file().patch(100, "rw-r--r-")), "mode"),
        refused("a digit that is none", one(file().patch(108, "0000008\0")), "uid"),
        refused("a sign", one(file().patch(108, "-000001\0")), "uid"),
        refused("two numbers", one(file().patch(100, "06 4\0\0\0\0")), "mode"),
        refused("another base", one(file().patch(108, b"\x90\0\0\0\0\0\0\x01")), "uid"),
        refused("a size of 2^95", one(file().patch(124, [&[0x80u8, 0x7f][..], &[0xff; 10]].concat())), "size"),
        refused("a size below zero", one(file().patch(124, [0xff; 12])), "size"),
        refused("a time of 2^95", one(file().patch(136, [&[0x80u8, 0x7f][..], &[0xff; 10]].concat())), "mtime"),
    ]
}

fn sizes() -> Vec<Case> {
    let hidden = |header: Header| t().with(header, t().file("hidden", "x").0);
    vec![
        made(
            "PAX size wins over 0 (tokio-tar 2025-62518)",
            t().pax(&[("size", b"3")])
                .raw(Header::new(b'0', "f").block())
                .raw(*b"abc")
                .raw([0; 509])
                .file("g", "y")
                .end(),
            &["f f abc", "f g y", "n . 2"],
        ),
        made(
            "PAX size wins over another",
            t().pax(&[("size", b"3")]).raw(file().size(1024).block()).raw(*b"abc").raw([0; 509]).file("g", "y").end(),
            &["f f abc", "f g y"],
        ),
        made(
            "PAX size belongs to the file, not to L between",
            t().pax(&[("size", b"3")]).extension(b'L', "long\0").raw(file().block()).raw(*b"abc").raw([0; 509]).end(),
            &["f long abc"],
        ),
        made(
            "PAX size does not reach the next file",
            t().pax(&[("size", b"3")]).raw(file().block()).raw(*b"abc").raw([0; 509]).file("g", "1234").end(),
            &["f g 1234"],
        ),
        made(
            "a link has no data whatever it says",
            t().raw(Header::new(b'2', "l").link("x").size(512).block()).file("g", "y").end(),
            &["l l x", "f g y"],
        ),
        made(
            "a folder has none",
            t().raw(Header::new(b'5', "d").size(1024).block()).file("g", "y").end(),
            &["d d", "f g y"],
        ),
        made(
            "a hard link has none",
            t().file("f", "x").raw(Header::new(b'1', "h").link("f").size(512).block()).file("g", "y").end(),
            &["= h f", "f g y"],
        ),
        made(
            "a device has none by PAX either",
            t().pax(&[("size", b"512")]).raw(Header::new(b'6', "p").block()).file("g", "y").end(),
            &["p p", "f g y"],
        ),
        made("an archive in a file stays there", hidden(file().size(1024)).end(), &["n . 1", "s f 1024"]),
        refused(
            "a size to the end of numbers",
            t().pax(&[("size", b"9223372036854775807")]).file("f", "").end(),
            "cut off",
        ),
        refused("a size beyond", t().pax(&[("size", b"18446744073709551615")]).file("f", "").end(), "number"),
        refused("8 GiB that are not there", t().add(file().size(1 << 32)).0, "cut off"),
        made(
            "a volume label and a global header are passed over",
            t().with(Header::new(b'V', "label"), "").extension(b'g', record("path", b"../x")).file("f", "x").end(),
            &["f f x", "n . 1"],
        ),
        made(
            "a global header of 2 MiB is only passed over",
            t().extension(b'g', vec![b'x'; 2 << 20]).file("f", "x").end(),
            &["f f x"],
        ),
    ]
}

fn records() -> Vec<Case> {
    let raw = |bytes: &[u8]| t().extension(b'x', bytes).file("f", "x").end();
    let deviation = |name, bytes: &[u8]| refused(name, raw(bytes), "extended header");
    vec![
        made(
            "the last of two keys",
            t().pax(&[("path", b"a"), ("path", b"b")]).file("f", "x").end(),
            &["f b x", "n . 1"],
        ),
        made(
            "an empty value overrides nothing",
            t().pax(&[("path", b""), ("uid", b"")]).file("f", "x").end(),
            &["f f x"],
        ),
        made(
            "unknown keys",
            t().pax(&[("comment", b"x"), ("hdrcharset", b"BINARY"), ("VENDOR.x", b"\0\xff")]).file("f", "x").end(),
            &["f f x"],
        ),
        made("nanoseconds", t().pax(&[("mtime", b"1700000001.123456789")]).file("f", "").end(), &["t f 1700000001"]),
        made("an empty extended header", raw(b""), &["f f x"]),
        deviation("a length too short", b"8 path=a\n"),
        deviation("a length too long", b"11 path=a\n"),
        deviation("a length far too long", b"99999 path=a\n"),
        deviation("a length of 2^64", b"18446744073709551626 path=a\n"),
        deviation("no length", b"path=a\n"),
        deviation("a length of 0", b"0 path=a\n"),
        deviation("a length with a sign", b"+9 path=a\n"),
        deviation("no newline", b"9 path=ax"),
        deviation("no equals sign", b"9 path-a\n"),
        deviation("no key", b"5 =a\n"),
        deviation("rubbish behind", b"9 path=a\n\0\0\0"),
        deviation("a NUL in a path", b"11 path=a\0b\n"),
        deviation("a size that is no number", b"10 size=1x\n"),
        deviation("a time that is no number", b"12 mtime=1e9\n"),
        deviation("an attribute without a name", b"18 SCHILY.xattr.=x\n"),
    ]
}

fn extensions() -> Vec<Case> {
    let many = |n: usize| (0..n).fold(t(), |tar, i| tar.extension(b'L', format!("name{i}\0"))).file("f", "x").end();
    vec![
        made("sixteen in a row, the last counts", many(16), &["f name15 x"]),
        refused("seventeen in a row", many(17), "more than 16"),
        made("a long name ends at its NUL", t().extension(b'L', "long\0/../x").file("f", "x").end(), &["f long x"]),
        made(
            "a PAX path wins over a long name",
            t().pax(&[("path", b"pax")]).extension(b'L', "long\0").file("f", "x").end(),
            &["f pax x"],
        ),
        made("a long link", t().extension(b'K', format!("{}\0", "a/".repeat(200))).sym("l", "x").end(), &["s l 400"]),
        made(
            "the last PAX header counts",
            t().pax(&[("path", b"a")]).pax(&[("uid", b"7")]).file("f", "x").end(),
            &["f f x", "o f 7:0"],
        ),
        refused("a long name of 8 GiB", t().add(Header::new(b'L', "x").size(0o77_777_777_777)).0, "1 MiB"),
        refused(
            "a PAX header of more than 1 MiB",
            t().extension(b'x', vec![b' '; (1 << 20) + 1]).file("f", "").end(),
            "1 MiB",
        ),
        refused("an extended header and nothing behind", t().pax(&[("path", b"a")]).end(), "extended header"),
        refused("an extended header and the stream's end", t().pax(&[("path", b"a")]).0, "extended header"),
        refused(
            "attributes without end",
            t().pax(&(0..5000).map(|_| ("SCHILY.xattr.user.x", &b"y"[..])).collect::<Vec<_>>())
                .raw(file().patch(0, "a/../b").block())
                .end(),
            "'..'",
        ),
        refused(
            "a volume label between",
            t().pax(&[("path", b"a")]).with(Header::new(b'V', "v"), "").file("f", "").end(),
            "ambiguous",
        ),
    ]
}

/// An old GNU sparse header: segments, real size, data.
fn old(segments: &[(u64, u64)], real: u64, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new(b'S', "f").gnu().size(data.len() as u64);
    for (i, (offset, length)) in segments.iter().enumerate() {
        header = header.patch(386 + i * 24, format!("{offset:011o}\0{length:011o}\0"));
    }
    t().with(header.patch(483, format!("{real:011o}\0")), data).end()
}

fn v01(map: &str, real: &str, data: &[u8]) -> Vec<u8> {
    let size = map.split(',').count() / 2;
    t().pax(&[
        ("GNU.sparse.size", real.as_bytes()),
        ("GNU.sparse.numblocks", size.to_string().as_bytes()),
        ("GNU.sparse.map", map.as_bytes()),
        ("GNU.sparse.name", b"f"),
    ])
    .file("x", data)
    .end()
}

fn v10(map: &str, real: &str, data: &[u8]) -> Vec<u8> {
    let mut all = map.as_bytes().to_vec();
    all.resize(all.len().next_multiple_of(512), 0);
    all.extend_from_slice(data);
    let pax: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"f"),
        ("GNU.sparse.realsize", real.as_bytes()),
    ];
    t().pax(&pax).file("x", all).end()
}

fn sparse() -> Vec<Case> {
    let v00 = t().pax(&[
        ("GNU.sparse.size", b"10"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"0"),
        ("GNU.sparse.numbytes", b"1"),
        ("GNU.sparse.offset", b"5"),
        ("GNU.sparse.numbytes", b"1"),
    ]);
    vec![
        made("old GNU", old(&[(2, 3), (10, 0)], 10, b"abc"), &["s f 10"]),
        made("old GNU, a hole of 1 TiB", old(&[(0, 1)], 0o20_000_000_000, b"a"), &["s f 2147483648"]),
        made("version 0.0", v00.file("f", "ab").end(), &["s f 10"]),
        made("version 0.1", v01("0,1,5,2", "10", b"abc"), &["s f 10"]),
        made("version 1.0", v10("2\n0\n1\n512\n2\n", "1000", b"abc"), &["s f 1000", "n . 1"]),
        made("no data at all", v01("", "100", b""), &["s f 100"]),
        refused("segments that overlap", old(&[(0, 2), (1, 2)], 10, b"abcd"), "order"),
        refused("segments backwards", v01("5,1,0,1", "10", b"ab"), "order"),
        refused("a segment behind the end", v01("9,2", "10", b"ab"), "behind the end"),
        refused(
            "a segment around the numbers' end",
            v10("1\n9223372036854775807\n9223372036854775807\n", "9223372036854775807", b""),
            "sparse",
        ),
        refused("more data than segments", v01("0,1", "10", b"abc"), "as long as"),
        refused("less data than segments", v01("0,9", "10", b"abc"), "as long as"),
        refused("an offset alone", v01("0,1,5", "10", b"a"), ""),
        refused(
            "another count than segments",
            t().pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.numblocks", b"7"), ("GNU.sparse.map", b"0,1")])
                .file("f", "a")
                .end(),
            "as many",
        ),
        refused("no real size", t().pax(&[("GNU.sparse.map", b"0,1")]).file("f", "a").end(), "size is missing"),
        refused(
            "an unknown version",
            t().pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"1")])
                .file("f", "a")
                .end(),
            "version",
        ),
        refused("a million segments and one (Go 2025-58183)", v10("1000001\n", "10", b""), "1000000"),
        refused("a count without end", v10(&"1".repeat(600), "10", b""), ""),
        refused("a map longer than its data", v10("3\n0\n1\n", "10", b""), "sparse"),
        refused(
            "extension blocks without end (tar 2018-20482)",
            t().raw(Header::new(b'S', "f").gnu().patch(482, [1]).patch(483, "00000000012\0").block())
                .raw([&[0u8; 504][..], &[1], &[0; 7]].concat().repeat(4))
                .0,
            "sparse",
        ),
        refused(
            "a sparse folder",
            t().pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"1")]).dir("d").end(),
            "no file",
        ),
        refused("old sparse in another format", t().add(Header::new(b'S', "f").patch(483, "1")).end(), "ambiguous"),
    ]
}
