//! Names, links, and what stands in their way.

use super::case::{Case, Ends, From, made, refused};
use super::tar::{Header, Tar};

pub(crate) fn cases() -> Vec<Case> {
    [plain(), links(), hard_links(), kinds(), options()].into_iter().flatten().collect()
}

fn t() -> Tar {
    Tar::new()
}

fn plain() -> Vec<Case> {
    let long = "x".repeat(255);
    let deep: String = "d/".repeat(2000);
    vec![
        refused("climbing (tar 2001-1267)", t().file("../sentinel", "hit").end(), "'..'"),
        refused("climbing after a folder", t().dir("a").file("a/../../sentinel", "hit").end(), "'..'"),
        refused("climbing that stays inside is refused too", t().file("a/../b", "").end(), "'..'"),
        refused("climbing at the end", t().dir("a/..").end(), "'..'"),
        refused("climbing by an extended name", t().pax(&[("path", b"../sentinel")]).file("ok", "hit").end(), "'..'"),
        refused("climbing by a long name", t().extension(b'L', "../sentinel\0").file("ok", "hit").end(), "'..'"),
        refused("climbing by the prefix", t().add(Header::new(b'0', "sentinel").patch(345, "..")).end(), "'..'"),
        refused(
            "climbing by a sparse name",
            t().pax(&[("GNU.sparse.name", b"../sentinel"), ("GNU.sparse.size", b"0")]).file("ok", "").end(),
            "'..'",
        ),
        made(
            "absolute names are inside (node-tar 2021-32804)",
            t().file("/f", "in").file("//g", "in").file("///a//b", "in").end(),
            &["f f in", "f g in", "f a/b in"],
        ),
        made("dots and slashes", t().file("./a/.//b/./c", "x").dir("d//").end(), &["f a/b/c x", "d d"]),
        made(
            "names that only look like climbing",
            t().file("...", "a").file("..a", "b").file("a..", "c").end(),
            &["f ... a", "f ..a b", "f a.. c"],
        ),
        made("old GNU headers have no prefix", t().add(Header::new(b'0', "f").gnu().patch(345, "..")).end(), &["f f "]),
        made("a name with a line break", t().file("a\nb", "x").end(), &["n . 1"]),
        refused("control characters in a message", t().file("\x1b[2J\x07/../x", "").end(), "\\u{1b}[2J"),
        refused("broken UTF-8 in a message", t().file(b"\xff\xfe/../x", "").end(), "\\xff\\xfe"),
        made("names are bytes", t().file(b"\xff\xfe", "x").end(), &["n . 1"]),
        refused("an empty name", t().file("", "x").end(), "empty name"),
        made("a part of 255 bytes", t().pax(&[("path", long.as_bytes())]).file("x", "").end(), &["n . 1"]),
        refused(
            "a part of 256 bytes",
            t().pax(&[("path", "x".repeat(256).as_bytes())]).file("x", "").end(),
            "too long",
        ),
        refused(
            "a name of 4096 bytes",
            t().pax(&[("path", "a/".repeat(2048).as_bytes())]).file("x", "").end(),
            "too long",
        ),
        made(
            "a name 2000 deep",
            t().pax(&[("path", format!("{deep}f").as_bytes())]).file("x", "x").end(),
            &["d d/d/d/d/d"],
        ),
        refused(
            "2000 deep, then refused: all is removed",
            t().pax(&[("path", format!("{deep}f").as_bytes())]).file("x", "x").file("../x", "").end(),
            "'..'",
        ),
        made("deeper than any name, by links", very_deep(), &["d d/d/d"]),
        made(
            "the root's own entry",
            t().add(Header::new(b'5', "./").mode(0o750).owner(3, 4)).file("f", "").end(),
            &["m . 750", "o . 3:4", "t . 1700000000"],
        ),
        made("the root called /", t().add(Header::new(b'5', "/").mode(0o711)).end(), &["m . 711"]),
        refused("the root as a link (umoci 2021-29136)", t().sym(".", "../../out").end(), "root of the archive"),
        refused(
            "the root as a file",
            t().file("./", "").file("/", "").raw(Header::new(b'7', "/").block()).end(),
            "root of the archive",
        ),
        refused("the root as a device", t().add(Header::new(b'3', "./")).end(), "root of the archive"),
        refused("the root as a hard link", t().file("f", "").hard(".", "f").end(), "root of the archive"),
        made("missing folders are root's, 0755", t().file("a/b/c", "").end(), &["m a 755", "m a/b 755", "o a/b 0:0"]),
        made(
            "a plain tar has no whiteouts",
            t().file("x", "").file(".wh.x", "").file(".wh..wh..opq", "").end(),
            &["f x ", "f .wh.x ", "f .wh..wh..opq "],
        ),
    ]
}

/// Twice 1500 folders: the second below a link to the first's end.
fn very_deep() -> Vec<u8> {
    let deep = "d/".repeat(1500);
    let tar = t().pax(&[("path", deep.as_bytes())]).dir("x");
    let tar = tar.pax(&[("linkpath", deep.as_bytes())]).sym("l", "x");
    tar.pax(&[("path", format!("l/{deep}f").as_bytes())]).file("x", "x").end()
}

fn links() -> Vec<Case> {
    let chain = (0..41).fold(t().file("end", "e"), |tar, i| {
        tar.sym(format!("l{i}"), if i == 0 { "end".to_owned() } else { format!("l{}", i - 1) })
    });
    // Each link leads below the one before: no path is as long.
    let down = |tar: Tar, i: usize| {
        let to = format!(
            "{}{}",
            if i == 0 { String::new() } else { format!("l{}/", i - 1) },
            format!("{}/", "d".repeat(200)).repeat(19)
        );
        let link = t().pax(&[("linkpath", to.as_bytes())]).sym(format!("l{i}"), "").0;
        tar.pax(&[("path", to.as_bytes())]).dir("").raw(link)
    };
    vec![
        made("deep below links", (0..3).fold(t(), down).file("l2/f", "x").end(), &["f l2/f x"]),
        refused("deeper than memory lasts", (0..20).fold(t(), down).end(), "too deep"),
        made(
            "through an absolute link: inside (docker 2014-6407)",
            t().sym("l", "/out").file("l/sentinel", "hit").end(),
            &["f out/sentinel hit", "l l /out"],
        ),
        made(
            "through a climbing link: stops at DIR",
            t().sym("l", "../../../out").file("l/sentinel", "hit").end(),
            &["f out/sentinel hit"],
        ),
        made(
            "through a link in a link (tar 2025-45582)",
            t().sym("a", "..").sym("b", "a/..").file("b/sentinel", "hit").end(),
            &["f sentinel hit"],
        ),
        made("a link to the host's files", t().sym("l", "/etc/passwd").file("l", "mine").end(), &["f l mine"]),
        made(
            "a link replaced by a folder (node-tar 2021-32803)",
            t().dir("a").sym("a", "/out").dir("a").file("a/f", "x").end(),
            &["d a", "f a/f x"],
        ),
        made(
            "a folder replaced by a link, then used (astral 2025-59825)",
            t().dir("a").file("a/f", "1").sym("a", "../../out").file("a/sentinel", "2").end(),
            &["l a ../../out", "f out/sentinel 2"],
        ),
        made(
            "the same deeper, with the folder known",
            t().dir("a/b").file("a/b/f", "1").sym("a", "/z").file("a/b/f", "2").end(),
            &["l a /z", "f z/b/f 2"],
        ),
        made(
            "a dangling link on the way is filled",
            t().sym("l", "no/where").file("l/f", "x").end(),
            &["f no/where/f x", "l l no/where"],
        ),
        made(
            "usr-merged",
            t().dir("usr/lib").sym("lib", "usr/lib").file("lib/x", "x").dir("lib/d").end(),
            &["f usr/lib/x x", "d usr/lib/d", "l lib usr/lib"],
        ),
        made(
            "link texts are kept (kaniko)",
            t().sym("a", "../../../../etc/pki").sym("b", "/proc/mounts").sym("c", "./x/../y//").end(),
            &["l a ../../../../etc/pki", "l b /proc/mounts", "l c ./x/../y//"],
        ),
        made("a link to itself", t().sym("l", "l").end(), &["l l l"]),
        refused("through a link to itself", t().sym("l", "l").file("l/f", "x").end(), "too many levels"),
        refused(
            "through two links to each other",
            t().sym("a", "b").sym("b", "a").file("a/f", "x").end(),
            "too many levels",
        ),
        refused("through 41 links", chain.file("l40/f", "x").end(), "too many levels"),
        refused("an empty link", t().sym("l", "").end(), "link text"),
        refused(
            "a link text of 4096 bytes",
            t().pax(&[("linkpath", "a".repeat(4096).as_bytes())]).sym("l", "x").end(),
            "link text",
        ),
        made(
            "a link text of 4000 bytes",
            t().pax(&[("linkpath", "a/".repeat(2000).as_bytes())]).sym("l", "x").end(),
            &["s l 4000"],
        ),
        refused("a NUL in a link text", t().pax(&[("linkpath", b"a\0b")]).sym("l", "x").end(), "NUL"),
        made(
            "a folder over a link does not follow it",
            t().sym("l", "../../out").add(Header::new(b'5', "l").mode(0o777)).end(),
            &["d l", "m l 777"],
        ),
        made(
            "a link's own time, not its target's (libarchive 2021-31566)",
            t().file("f", "").sym("l", "f").end(),
            &["t l 1700000000"],
        ),
        made(
            "a link's own owner (containerd 2021-32760)",
            t().file("f", "").add(Header::new(b'2', "l").link("f").owner(7, 8)).end(),
            &["o l 7:8", "o f 0:0"],
        ),
        made("a link to the folder around, as a name", t().sym("up", "..").dir("up").end(), &["d up"]),
    ]
}

fn hard_links() -> Vec<Case> {
    vec![
        made("a hard link", t().file("f", "x").hard("a/b", "f").end(), &["= a/b f"]),
        made(
            "an absolute target is inside (Docker 29.7)",
            t().file("usr/f", "x").hard("h", "/usr/f").end(),
            &["= h usr/f"],
        ),
        made(
            "a target through a link",
            t().dir("usr/bin").sym("bin", "usr/bin").file("bin/f", "x").hard("h", "bin/f").end(),
            &["= h usr/bin/f"],
        ),
        made(
            "a link as target is linked itself",
            t().sym("l", "/etc/passwd").hard("h", "l").end(),
            &["l h /etc/passwd"],
        ),
        made(
            "the last part is not followed (tar-rs 2018-20990)",
            t().sym("l", "/out/sentinel").hard("h", "l").file("h", "new").end(),
            &["f h new", "l l /out/sentinel"],
        ),
        made("a link to itself: nothing to do", t().file("f", "x").hard("f", "f").end(), &["f f x"]),
        made(
            "the entry's mode and owner do not count",
            t().file("f", "x").add(Header::new(b'1', "h").link("f").mode(0o777).owner(9, 9)).end(),
            &["m f 644", "o f 0:0"],
        ),
        made("over what is there", t().file("f", "x").file("h", "old").hard("h", "f").end(), &["= h f"]),
        made("over a folder", t().file("f", "x").file("h/in", "old").hard("h", "f").end(), &["= h f"]),
        made(
            "new contents do not reach the other name",
            t().file("f", "x").hard("h", "f").file("h", "new").end(),
            &["f f x", "f h new"],
        ),
        made("to a pipe", t().add(Header::new(b'6', "p")).hard("h", "p").end(), &["= h p"]),
        refused("climbing target (node-tar 2018-20834)", t().hard("h", "../sentinel").end(), "'..'"),
        refused("climbing by linkpath", t().pax(&[("linkpath", b"../../out/sentinel")]).hard("h", "x").end(), "'..'"),
        refused(
            "missing target (oras: the working folder, 2021-21272)",
            t().hard("h", "sentinel").end(),
            "No such file",
        ),
        refused("missing folder of the target", t().hard("h", "no/such").end(), "No such file"),
        refused("a later target", t().hard("h", "f").file("f", "x").end(), "No such file"),
        refused("a folder", t().dir("d").hard("h", "d").end(), "is a folder"),
        refused("the root", t().hard("h", "/").end(), "is a folder"),
        refused("an empty target", t().hard("h", "").end(), "empty name"),
        refused("a target below a file", t().file("f", "").hard("h", "f/g").end(), "No such file"),
        refused("a target outside by a link", t().sym("l", "../../out").hard("h", "l/sentinel").end(), "No such file"),
        refused("a target that its own link removes", t().file("d/f", "x").hard("d", "d/f").end(), ""),
    ]
}

fn kinds() -> Vec<Case> {
    vec![
        made(
            "set-user-ID with another owner",
            t().with(Header::new(b'0', "f").mode(0o6755).owner(5, 6).size(1), "x").end(),
            &["m f 6755", "o f 5:6"],
        ),
        made("set-user-ID of root's", t().add(Header::new(b'0', "f").mode(0o4755)).end(), &["m f 4755"]),
        made(
            "folders with all bits",
            t().add(Header::new(b'5', "d").mode(0o7777)).file("d/f", "").end(),
            &["m d 7777", "o d/f 0:0", "t d 1700000000"],
        ),
        made(
            "a set-group-ID folder hands nothing on",
            t().add(Header::new(b'5', "d").mode(0o2755).owner(0, 50)).file("d/f", "").dir("d/e").end(),
            &["o d/f 0:0", "m d/e 755", "o d/e 0:0", "m d 2755"],
        ),
        made(
            "mode 0",
            t().with(Header::new(b'0', "f").mode(0).size(1), "x")
                .add(Header::new(b'5', "d").mode(0))
                .file("d/g", "y")
                .end(),
            &["m f 0", "m d 0", "f d/g y"],
        ),
        made("bits above 07777 are cut", t().add(Header::new(b'0', "f").mode(0o100_644)).end(), &["m f 644"]),
        made(
            "a pipe is made, not opened",
            t().add(Header::new(b'6', "p")).file("p", "over").add(Header::new(b'6', "q")).end(),
            &["f p over", "p q"],
        ),
        made("a pipe over a file", t().file("p", "x").add(Header::new(b'6', "p")).end(), &["p p"]),
        made(
            "devices",
            t().add(Header::new(b'3', "dev/null").device(1, 3).mode(0o666))
                .add(Header::new(b'4', "dev/sda").device(8, 0))
                .end(),
            &["m dev/null 666"],
        ),
        made(
            "a device is not written through",
            t().add(Header::new(b'3', "full").device(1, 7)).file("full", "text").end(),
            &["f full text"],
        ),
        made("device 0:0", t().add(Header::new(b'3', "w")).end(), &["m w 644"]),
        refused(
            "a device number that does not exist",
            t().add(Header::new(b'3', "d").device(4096, 0)).end(),
            "devmajor",
        ),
        refused(
            "a minor number that does not exist",
            t().add(Header::new(b'4', "d").device(0, 1_048_576)).end(),
            "devminor",
        ),
        refused("an unknown type", t().add(Header::new(b'?', "f")).end(), "type '?'"),
        refused("a part of a volume", t().add(Header::new(b'M', "f")).end(), "type 'M'"),
        refused("a folder dump", t().add(Header::new(b'D', "f")).end(), "type 'D'"),
        made("type 7", t().with(Header::new(b'7', "f").size(1), "x").end(), &["f f x"]),
        made("type NUL", t().with(Header::new(0, "f").size(1), "x").add(Header::new(0, "d/")).end(), &["f f x", "d d"]),
        made("type 0 and a slash is a folder", t().add(Header::new(b'0', "d/").mode(0o700)).end(), &["d d"]),
        refused("a folder with contents", t().with(Header::new(b'0', "d/").size(1), "x").end(), "ambiguous"),
        made("file over file over folder", t().dir("a").file("a", "1").file("a", "2").end(), &["f a 2"]),
        made(
            "a thousand times the same",
            (0..1000).fold(t(), |tar, i| tar.file("f", format!("{i}"))).end(),
            &["f f 999"],
        ),
        made("folder, file, folder", t().file("a/b", "x").file("a", "y").dir("a").end(), &["d a", "n a 0"]),
        made("time before 1970", t().pax(&[("mtime", b"-1.5")]).file("f", "").end(), &["t f -2"]),
        made("a folder's time is set last", t().dir("d").file("d/f", "").end(), &["t d 1700000000"]),
        made(
            "the newest entry of a folder counts",
            t().add(Header::new(b'5', "d").mode(0o700)).file("d/f", "").add(Header::new(b'5', "d").mode(0o711)).end(),
            &["m d 711"],
        ),
        made(
            "attributes that mean something here are not set",
            t().pax(&[("SCHILY.xattr.security.selinux", b"x"), ("SCHILY.xattr.trusted.overlay.opaque", b"y")])
                .file("f", "")
                .end(),
            &["f f "],
        ),
    ]
}

fn options() -> Vec<Case> {
    let with = |name, options, tar: Vec<u8>, ends| Case { name, from: From::Tar(tar), options, ends };
    let linked = || t().dir("real").sym("l", "real").dir("l").file("l/f", "x").end();
    vec![
        with("--keep-dirlinks keeps", &["--keep-dirlinks"], linked(), Ends::Made(&["l l real", "f real/f x"])),
        with("without it the link goes", &[], linked(), Ends::Made(&["d l", "f l/f x", "n real 0"])),
        with(
            "--keep-dirlinks: not to a file",
            &["--keep-dirlinks"],
            t().file("f", "").sym("l", "f").dir("l").end(),
            Ends::Made(&["d l"]),
        ),
        with(
            "--keep-dirlinks: inside only",
            &["--keep-dirlinks"],
            t().sym("l", "../../out").dir("l").end(),
            Ends::Made(&["d l"]),
        ),
        with(
            "--max-size",
            &["--max-size=10"],
            t().file("a", "123456").file("b", "123456").end(),
            Ends::Refused("--max-size"),
        ),
        with(
            "--max-size is enough",
            &["--max-size=12"],
            t().file("a", "123456").file("b", "123456").end(),
            Ends::Made(&["f b 123456"]),
        ),
        with(
            "--max-size of a lie",
            &["--max-size=1M"],
            t().add(Header::new(b'0', "a").size(1 << 32)).end(),
            Ends::Refused("--max-size"),
        ),
    ]
}
