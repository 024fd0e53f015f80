//! OCI layouts, right and wrong.

use super::case::{Case, Ends, From, layers, layers_refused};
use super::tar::Tar;
use rs_rootfs::digest::Digest;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layout being made.
pub(crate) struct Layout {
    root: PathBuf,
    entries: Vec<String>,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        fs::create_dir_all(root.join("blobs/sha256")).expect("new");
        fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("new");
        Self { root: root.to_owned(), entries: Vec::new() }
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    pub(crate) fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        fs::write(self.blob_path(&digest), bytes).expect("new");
        digest
    }

    /// A descriptor of a new blob.
    pub(crate) fn descriptor(&self, kind: &str, bytes: &[u8]) -> String {
        let digest = self.blob(bytes);
        format!(r#""mediaType":"{kind}","digest":"{digest}","size":{}"#, bytes.len())
    }

    pub(crate) fn config(&self, diff_ids: &[Digest]) -> String {
        let ids: Vec<String> = diff_ids.iter().map(|id| format!("\"{id}\"")).collect();
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            ids.join(",")
        );
        self.descriptor(CONFIG, text.as_bytes())
    }

    pub(crate) fn manifest(&self, config: &str, layers: &[String], more: &str) -> String {
        let layers: Vec<String> = layers.iter().map(|layer| format!("{{{layer}}}")).collect();
        let layers = layers.join(",");
        format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{{config}}},"layers":[{layers}]{more}}}"#)
    }

    /// An image with these plain layers; `tags` empty: without a tag.
    pub(crate) fn image(self, layers: &[Vec<u8>], tags: &[&str]) -> Self {
        let diff_ids: Vec<Digest> = layers.iter().map(|bytes| Digest::of(bytes)).collect();
        let descriptors: Vec<String> = layers.iter().map(|bytes| self.descriptor(LAYER, bytes)).collect();
        let manifest = self.manifest(&self.config(&diff_ids), &descriptors, "");
        let entry = self.descriptor(MANIFEST, manifest.as_bytes());
        let mut layout = self;
        if tags.is_empty() {
            return layout.entry(format!("{{{entry}}}"));
        }
        for tag in tags {
            layout =
                layout.entry(format!(r#"{{{entry},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}"#));
        }
        layout
    }

    pub(crate) fn entry(mut self, entry: String) -> Self {
        self.entries.push(entry);
        self
    }

    pub(crate) fn finish(self) {
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, self.entries.join(","));
        fs::write(self.root.join("index.json"), text).expect("new");
    }
}

fn layer() -> Vec<u8> {
    Tar::new().file("f", "text").end()
}

fn wrong(name: &'static str, words: &'static str, make: impl Fn(&Path) + 'static) -> Case {
    Case { name, from: From::Folder(Box::new(make), "oci:{}"), options: &[], ends: Ends::Refused(words) }
}

fn right(name: &'static str, word: &'static str, make: impl Fn(&Path) + 'static) -> Case {
    Case { name, from: From::Folder(Box::new(make), word), options: &[], ends: Ends::Made(&["f f text"]) }
}

/// A layout whose only manifest is this text.
fn with_manifest(root: &Path, text: impl Fn(&Layout) -> String) {
    let layout = Layout::new(root);
    let text = text(&layout);
    let entry = layout.descriptor(MANIFEST, text.as_bytes());
    layout.entry(format!("{{{entry}}}")).finish();
}

/// One layer: its descriptor's size and digest, its diff id.
fn with_layer(root: &Path, change: impl Fn(&str) -> String, diff_id: &Digest) {
    with_manifest(root, |layout| {
        let descriptor = change(&layout.descriptor(LAYER, &layer()));
        layout.manifest(&layout.config(std::slice::from_ref(diff_id)), &[descriptor], "")
    });
}

pub(crate) fn cases() -> Vec<Case> {
    [documents(), blobs(), choices(), trees()].into_iter().flatten().collect()
}

fn documents() -> Vec<Case> {
    let text = |name, words, change: fn(String) -> String| {
        wrong(name, words, move |root| {
            with_manifest(root, |layout| {
                let descriptor = layout.descriptor(LAYER, &layer());
                change(layout.manifest(&layout.config(&[Digest::of(&layer())]), &[descriptor], ""))
            });
        })
    };
    vec![
        text("index and manifest at once", "both", |text| text.replace("\"layers\"", "\"manifests\":[],\"layers\"")),
        text("a key twice", "duplicate", |text| text.replace("\"layers\"", "\"layers\":[],\"layers\"")),
        text("an unknown key twice inside", "duplicate", |text| {
            text.replace("\"layers\"", "\"x\":{\"a\":1,\"a\":2},\"layers\"")
        }),
        text("text behind", "trailing", |text| text + "{}"),
        text("no JSON", "JSON", |_| "<html>".to_owned()),
        text("a list", "JSON", |_| "[]".to_owned()),
        text("empty document", "JSON", |_| String::new()),
        text("another version", "schemaVersion", |text| text.replace("\"schemaVersion\":2", "\"schemaVersion\":3")),
        text("version 1", "version 1", |text| text.replace("\"schemaVersion\":2", "\"schemaVersion\":1")),
        text("another media type inside", "announced", |text| text.replace(MANIFEST, INDEX)),
        text("a layer that is no file system", "not a file system", |text| {
            text.replace(LAYER, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
        }),
        text("an encrypted layer", "not a file system", |text| text.replace(LAYER, &format!("{LAYER}+encrypted"))),
        text("a configuration that is none", "configuration", |text| text.replace(CONFIG, "application/json")),
        text("a negative size", "size", |text| text.replace("\"size\":", "\"size\":-")),
        text("a size beyond 63 bits", "", |text| text.replace("\"size\":", "\"size\":99999999999999999999")),
        text("nesting", "recursion", |text| {
            text.replace("\"layers\"", &format!("\"x\":{}{},\"layers\"", "[".repeat(300), "]".repeat(300)))
        }),
        text("513 layers", "512", |text| {
            let zero = format!("{{\"mediaType\":\"{LAYER}\",\"digest\":\"sha256:{}\",\"size\":0}}", "0".repeat(64));
            let at = text.find("\"layers\":[").expect("there");
            format!("{}\"layers\":[{}]}}", &text[..at], vec![zero; 513].join(","))
        }),
        text("an upper-case digest", "digest", |text| text.replace("\"sha256:", "\"sha256:A")),
        text("a path as digest", "digest", |text| text.replace("\"sha256:", "\"sha256:../../")),
        text("an unknown hash", "digest", |text| text.replace("\"sha256:", "\"md5:")),
        text("4 MiB and more", "4194304", |text| text + &" ".repeat(4 << 20)),
        wrong("index.json is a manifest", "both", |root| {
            Layout::new(root).finish();
            fs::write(root.join("index.json"), r#"{"schemaVersion":2,"config":{},"layers":[]}"#).expect("new");
        }),
        wrong("another layout version", "1.0.0", |root| {
            Layout::new(root).image(&[layer()], &[]).finish();
            fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).expect("ours");
        }),
        wrong("no layout", "no OCI layout", |root| fs::create_dir(root).expect("new")),
        wrong("more diff ids than layers", "diff ids", |root| {
            with_manifest(root, |layout| {
                let descriptor = layout.descriptor(LAYER, &layer());
                layout.manifest(&layout.config(&[Digest::of(b""), Digest::of(b"")]), &[descriptor], "")
            });
        }),
        wrong("an index that leads to itself is no image", "", |root| {
            let layout = Layout::new(root);
            let nested = format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{INDEX}","digest":"sha256:{}","size":10}}]}}"#,
                "1".repeat(64)
            );
            let entry = layout.descriptor(INDEX, nested.as_bytes());
            layout.entry(format!("{{{entry}}}")).finish();
        }),
        wrong("indexes in each other", "indexes", |root| {
            let layout = Layout::new(root);
            let mut entry = layout.descriptor(INDEX, br#"{"schemaVersion":2,"manifests":[]}"#);
            for _ in 0..8 {
                entry =
                    layout.descriptor(INDEX, format!(r#"{{"schemaVersion":2,"manifests":[{{{entry}}}]}}"#).as_bytes());
            }
            layout.entry(format!("{{{entry}}}")).finish();
        }),
    ]
}

fn blobs() -> Vec<Case> {
    let id = || Digest::of(&layer());
    vec![
        wrong("a layer shorter than said", "bytes long", move |root| {
            with_layer(root, |text| text.replace("\"size\":", "\"size\":9"), &id());
        }),
        wrong("a layer longer than said", "bytes long", move |root| {
            with_layer(root, |text| text[..text.len() - 1].to_owned(), &id());
        }),
        wrong("another layer than its digest", "digest", move |root| {
            with_layer(root, str::to_owned, &id());
            let path = root.join("blobs/sha256").join(id().hex());
            fs::write(path, Tar::new().file("g", "text").end()).expect("ours");
        }),
        wrong("another diff id", "diff id", |root| with_layer(root, str::to_owned, &Digest::of(b"other"))),
        wrong("no such blob", "No such file", move |root| {
            with_layer(root, str::to_owned, &id());
            fs::remove_file(root.join("blobs/sha256").join(id().hex())).expect("ours");
        }),
        wrong("a pipe as blob", "no regular file", move |root| {
            with_layer(root, str::to_owned, &id());
            let path = root.join("blobs/sha256").join(id().hex());
            fs::remove_file(&path).expect("ours");
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("new");
        }),
        wrong("a pipe as index", "no regular file", |root| {
            Layout::new(root).finish();
            fs::remove_file(root.join("index.json")).expect("ours");
            nix::unistd::mkfifo(&root.join("index.json"), nix::sys::stat::Mode::S_IRWXU).expect("new");
        }),
        wrong("a damaged configuration", "damaged", |root| {
            with_manifest(root, |layout| {
                let config = layout.config(&[]);
                let hex = config.split("sha256:").nth(1).expect("a digest")[..64].to_owned();
                let path = root.join("blobs/sha256").join(hex);
                let text = fs::read_to_string(&path).expect("ours").replace("amd64", "amd46");
                fs::write(path, text).expect("ours");
                layout.manifest(&config, &[], "")
            });
        }),
        right("a link to a blob", "oci:{}", move |root| {
            with_layer(root, str::to_owned, &id());
            let path = root.join("blobs/sha256").join(id().hex());
            fs::rename(&path, root.join("elsewhere")).expect("ours");
            symlink("../../elsewhere", path).expect("new");
        }),
    ]
}

fn choices() -> Vec<Case> {
    let two = |root: &Path| {
        let other = Tar::new().file("g", "").end();
        Layout::new(root).image(&[layer()], &["one"]).image(&[other], &["two"]).finish();
    };
    let mut twice = wrong("a tag twice", "times", |root| {
        let other = Tar::new().file("g", "").end();
        Layout::new(root).image(&[layer()], &["one"]).image(&[other], &["one"]).finish();
    });
    if let From::Folder(_, word) = &mut twice.from {
        *word = "oci:{}:one";
    }
    let mut missing = wrong("no such tag", "one, two", two);
    if let From::Folder(_, word) = &mut missing.from {
        *word = "oci:{}:three";
    }
    vec![
        right("the tag decides", "oci:{}:one", two),
        right("a folder is a layout", "{}", |root| Layout::new(root).image(&[layer()], &[]).finish()),
        wrong("several images and no choice", "one, two", two),
        wrong("no image at all", "no image", |root| Layout::new(root).finish()),
        twice,
        missing,
        wrong("no image for this platform", "no matching manifest", |root| {
            let layout = Layout::new(root);
            let entry = layout.descriptor(MANIFEST, b"{}");
            let index = format!(
                r#"{{"schemaVersion":2,"manifests":[{{{entry},"platform":{{"os":"linux","architecture":"pdp11"}}}},{{{entry},"platform":{{"os":"linux","architecture":"vax"}}}}]}}"#
            );
            let entry = layout.descriptor(INDEX, index.as_bytes());
            layout.entry(format!("{{{entry}}}")).finish();
        }),
    ]
}

fn trees() -> Vec<Case> {
    let base = || Tar::new().dir("a").file("a/x", "1").file("a/y", "2").file("f", "f").dir("e").sym("l", "a").end();
    let over = |tar: Tar| vec![base(), tar.end()];
    let t = Tar::new;
    let white = |name, tar: Tar, holds| layers(name, over(tar), holds);
    vec![
        white("whiteout of a file", t().file("a/.wh.x", ""), &["- a/x", "f a/y 2", "- a/.wh.x"]),
        white("whiteout of a folder", t().file(".wh.a", ""), &["- a", "f f f"]),
        white("whiteout of a link leaves its target", t().file(".wh.l", ""), &["- l", "f a/x 1"]),
        white("whiteout through a link", t().file("l/.wh.x", ""), &["- a/x", "l l a"]),
        white("whiteout of nothing", t().file(".wh.nothing", ""), &["f f f"]),
        white("whiteout in a missing folder", t().file("no/such/.wh.x", ""), &["- no"]),
        white("whiteout that is a folder", t().dir(".wh.a"), &["- a", "- .wh.a"]),
        white("whiteout that is a link", t().sym(".wh.f", "/etc/passwd"), &["- f"]),
        white("whiteout that is a device", t().add(super::tar::Header::new(b'3', ".wh.f")), &["- f"]),
        white("opaque folder", t().file("a/.wh..wh..opq", ""), &["d a", "n a 0"]),
        white("opaque before", t().file("a/.wh..wh..opq", "").file("a/z", "3"), &["f a/z 3", "n a 1"]),
        white("opaque after", t().file("a/z", "3").file("a/.wh..wh..opq", ""), &["f a/z 3", "n a 1"]),
        white(
            "opaque spares this layer's folders",
            t().file("a/b/c", "3").file("a/.wh..wh..opq", ""),
            &["f a/b/c 3", "n a 1"],
        ),
        white("opaque root", t().file("new", "").file(".wh..wh..opq", ""), &["n . 1", "f new "]),
        white("opaque through a link", t().file("l/.wh..wh..opq", ""), &["n a 0"]),
        white("whiteout after the same name", t().file("f", "new").file(".wh.f", ""), &["f f new"]),
        white("whiteout before the same name", t().file(".wh.f", "").file("f", "new"), &["f f new"]),
        white("whiteout of a folder with new things", t().file("a/z", "3").file(".wh.a", ""), &["f a/z 3", "n a 1"]),
        white("folder again after its whiteout", t().file(".wh.a", "").dir("a").file("a/z", "3"), &["n a 1"]),
        white(
            "bookkeeping",
            t().dir(".wh..wh.plnk").file(".wh..wh.plnk/1.2", "x").file(".wh..wh.aufs", ""),
            &["- .wh..wh.plnk", "- .wh..wh.aufs"],
        ),
        white("file over folder", t().file("a", "new"), &["f a new"]),
        white("link over folder", t().sym("a", "e"), &["l a e"]),
        white("folder over link", t().dir("l"), &["d l", "f a/x 1"]),
        white("folder over file", t().dir("f"), &["d f"]),
        white("folder over folder", t().add(super::tar::Header::new(b'5', "a").mode(0o700)), &["m a 700", "f a/x 1"]),
        white("an entry below a link goes to its target", t().file("l/new", "n"), &["f a/new n", "l l a"]),
        white("a file in the way of a folder", t().file("f/g", "n"), &["f f/g n"]),
        white("hard link to a lower layer", t().hard("h", "f"), &["= h f"]),
        white("a new file leaves the other name alone", t().hard("h", "f").file("f", "new"), &["f h f", "f f new"]),
        layers("an upper layer that only adds keeps the folder's time", over(t().file("a/z", "")), &["t a 1700000000"]),
        layers(
            "whiteouts in the lowest layer spare it",
            vec![t().file("f", "x").file("a/g", "y").file(".wh.f", "").file("a/.wh..wh..opq", "").end()],
            &["f f x", "f a/g y"],
        ),
        layers_refused("whiteout of ..", over(t().file(".wh...", "")), "whiteout of '..'"),
        layers_refused("whiteout of .", over(t().file(".wh..", "")), "whiteout of '.'"),
        layers_refused("whiteout of no name", over(t().file(".wh.", "")), "whiteout of ''"),
        layers_refused("whiteout of .. in a folder", over(t().file("a/.wh...", "")), "whiteout of '..'"),
        layers_refused(
            "a bad second layer takes the first away",
            vec![base(), t().file("../x", "").end()],
            "layer 2: entry ../x",
        ),
    ]
}
