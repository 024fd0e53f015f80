//! A store that lost bytes: what is whole goes on being used, what is not is
//! named, and made whole by the next pull.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::{Ran, bin, needs};
use hub::{Layout, Packed, Registry, Stage, host_architecture, noise, registry_with, tar_with};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A store with the images `hurt` and `well`, and a container of each.
struct Two {
    stage: Stage,
    registry: Registry,
}

impl Two {
    fn new() -> Self {
        let stage = Stage::new();
        let (registry, _) = registry_with(&stage, "hurt:1", &noise(50_000));
        let layout = Layout::new(stage.join("well"));
        layout.tag(&[("it", &layout.image(host_architecture(), "{}", &[(tar_with(b"well"), Packed::Gzip)]))]);
        registry.push(&layout, "it", "well:1");
        let two = Self { stage, registry };
        for name in ["hurt", "well"] {
            let made = two.run(&["create", "-q", "--name", name, &two.image(name), "sh"]);
            assert_eq!(made.status, 0, "{made:?}");
        }
        two
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}:1", self.registry.host())
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.stage.run(words)
    }

    fn store(&self, name: &str) -> PathBuf {
        self.stage.join("store").join(name)
    }

    /// The file of `hurt` that is called so.
    fn file(&self, what: &str) -> PathBuf {
        let of_ref = self.store(&format!("refs/{}/hurt/:1", self.registry.host()));
        let blob = |digest: &str| self.store("blobs").join(digest.trim().replace(':', "/"));
        let manifest = blob(&fs::read_to_string(&of_ref).expect("a reference"));
        let json = |path: &Path| -> serde_json::Value {
            serde_json::from_slice(&fs::read(path).expect("there")).expect("JSON")
        };
        let at = |path: &str| blob(json(&manifest).pointer(path).and_then(|it| it.as_str()).expect("a digest"));
        match what {
            "reference" => of_ref,
            "manifest" => manifest,
            "configuration" => at("/config/digest"),
            "layer" => at("/layers/0/digest"),
            "uncompressed" => {
                let id = json(&at("/config/digest")).pointer("/rootfs/diff_ids/0").expect("one").clone();
                self.store("layers").join(id.as_str().expect("a digest").replace(':', "/"))
            }
            _ => {
                let list = fs::read_dir(self.store("containers")).expect("a folder").flatten().map(|it| it.path());
                list.into_iter().find(|path| json(path)["Name"] == "hurt").expect("a record")
            }
        }
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for folder in ["blobs/sha256", "layers/sha256", "containers"] {
            found.extend(fs::read_dir(self.store(folder)).expect("a folder").flatten().map(|it| it.path()));
        }
        found
    }
}

/// How bytes are lost.
fn cut(path: &Path) {
    let bytes = fs::read(path).expect("there");
    fs::remove_file(path).expect("ours");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("a file");
}

fn turned(path: &Path) {
    let mut bytes = fs::read(path).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).expect("ours");
    fs::write(path, bytes).expect("a file");
}

/// Failed, and said so of `name`, and what to do.
fn told(ran: &Ran, name: &str) {
    assert_eq!((ran.status, ran.stderr.lines().count()), (1, 2), "{ran:?}");
    assert!(ran.stderr.starts_with("rs-rootfs: ") && ran.stderr.contains(&format!("{name}: ")), "{ran:?}");
    assert!(ran.stderr.contains("\nrs-rootfs: hint: pull it again, or remove it with rm"), "{ran:?}");
}

#[test]
fn one_damaged_image_is_no_reason_to_lose_sight_of_all() {
    needs!("root", "docker-registry", "skopeo");
    for what in ["reference", "manifest", "configuration"] {
        for harm in [cut, turned, |path: &Path| fs::remove_file(path).expect("ours")] {
            let two = Two::new();
            let (hurt, well) = (two.image("hurt"), two.image("well"));
            assert_eq!(two.run(&["rm", "hurt"]).status, 0);
            let gone = two.file(what);
            harm(&gone);
            if what == "reference" && !gone.exists() {
                continue;
            }
            let before = two.files();
            fs::write(two.store("blobs/sha256/.tmp-1-0"), "x").expect("a file");
            let listed = two.run(&["list"]);
            told(&listed, &hurt);
            assert!(listed.stdout.contains("/well ") && !listed.stdout.contains("/hurt "), "{listed:?}");
            // Nothing goes that the unreadable may name, all else does.
            let kept = two.run(&["gc"]);
            told(&kept, &hurt);
            assert_eq!((kept.stdout.as_str(), two.files()), ("freed 1 bytes in 1 files\n", before.clone()), "{what}");
            assert_eq!(two.run(&["rm", "well"]).stdout, "well\n");
            assert_eq!(two.run(&["rm", &hurt]).stdout, format!("Untagged: {hurt}\n"), "{what}");
            let freed = two.run(&["gc"]);
            assert_eq!((freed.status, freed.stderr.as_str()), (0, ""), "{freed:?}");
            assert!(two.files().len() == 4 && two.run(&["create", "--pull", "never", &well, "sh"]).status == 0);
        }
    }
}

#[test]
fn a_pull_makes_it_whole() {
    needs!("root", "docker-registry", "skopeo");
    for what in ["reference", "manifest", "configuration", "layer"] {
        for (i, harm) in [cut, turned].into_iter().enumerate() {
            let two = Two::new();
            let hurt = two.image("hurt");
            let before = two.files();
            let whole = fs::read(two.file(what)).expect("there");
            let gone = two.file(what);
            harm(&gone);
            fs::remove_dir_all(two.store("layers/sha256")).expect("ours");
            fs::create_dir(two.store("layers/sha256")).expect("again");
            let made = two.run(&["create", "-q", &hurt]);
            if (what, i) == ("layer", 1) {
                // As many bytes, but others: only who reads them finds out.
                assert_eq!((made.status, made.stderr.lines().count()), (1, 1), "{made:?}");
                let named =
                    format!("blob sha256:{} was damaged in the store", gone.file_name().expect("a name").display());
                assert!(made.stderr.contains(&named), "{made:?}");
                assert_eq!(two.run(&["create", "-q", &hurt]).status, 0);
            } else {
                assert_eq!((made.status, made.stderr.as_str()), (0, ""), "{what}: {made:?}");
            }
            assert!(fs::read(&gone).expect("there") == whole, "{what}");
            assert!(
                two.files()
                    .is_superset(&before.into_iter().filter(|it| !it.starts_with(two.store("layers"))).collect())
            );
            assert_eq!(two.run(&["list"]).stderr, "");
            let out = two.stage.unpack(&format!("docker://{hurt}"), "out");
            assert_eq!((out.status, out.stderr.as_str()), (0, ""), "{out:?}");
        }
    }
}

#[test]
fn a_damaged_layer_is_named_and_made_anew() {
    needs!("root", "docker-registry", "skopeo");
    let two = Two::new();
    let layer = two.file("uncompressed");
    let whole = fs::read(&layer).expect("there");
    cut(&layer);
    let tar = two.stage.join("x.tar").display().to_string();
    let ran = two.run(&["export", "-o", &tar, "hurt"]);
    let named = format!("layer sha256:{} was damaged in the store", layer.file_name().expect("a name").display());
    assert!(ran.status == 1 && ran.stderr.lines().count() == 1 && ran.stderr.contains(&named), "{ran:?}");
    assert_eq!(two.run(&["create", "-q", "--pull", "never", &two.image("hurt")]).status, 0);
    assert!(fs::read(&layer).expect("there") == whole);
    assert_eq!(two.run(&["export", "-o", &tar, "hurt"]).status, 0);
}

#[test]
fn a_damaged_record_of_a_container() {
    needs!("root", "docker-registry", "skopeo");
    let two = Two::new();
    let record = two.file("record");
    let id = record.file_stem().expect("a name").display().to_string();
    cut(&record);
    let before = two.files();
    let listed = two.run(&["list", "--containers"]);
    told(&listed, &id);
    assert_eq!(listed.stdout.lines().count(), 2, "{listed:?}");
    assert_eq!(two.run(&["rm", "-f", &two.image("hurt")]).status, 0);
    let kept = two.run(&["gc"]);
    told(&kept, &id);
    assert_eq!((kept.stdout.as_str(), two.files()), ("freed 0 bytes in 0 files\n", before));
    // Other containers come and go meanwhile.
    let made = two.run(&["create", "-q", "--name", "other", &two.image("well"), "sh"]);
    assert_eq!((made.status, made.stderr.as_str()), (0, ""), "{made:?}");
    assert_eq!(two.run(&["rm", "other"]).stdout, "other\n");
    assert_eq!(two.run(&["rm", &id]).stdout, format!("{id}\n"));
    assert_eq!((two.run(&["gc"]).status, two.files().len()), (0, 5));
}

/// The first process of a new pid namespace has the number of the one before.
#[test]
fn what_a_namesake_left_is_in_nobodys_way() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", &noise(10));
    let name = format!("{}/app:1", registry.host());
    assert_eq!(stage.run(["list"]).status, 0);
    let folder = format!("refs/{}/app", registry.host());
    fs::create_dir_all(stage.join("store").join(&folder)).expect("folders");
    let mut left = 0;
    for folder in ["blobs/sha256", "layers", &folder, "containers"] {
        for number in 0..9 {
            fs::write(stage.join(format!("store/{folder}/.tmp-1-{number}")), "x").expect("a file");
            left += 1;
        }
    }
    let first = |words: &[&str]| -> Ran {
        let mut command = stage.command("unshare");
        command.args(["--pid", "--fork"]).arg(bin("rs-rootfs")).args(words).output().expect("it starts").into()
    };
    let made = first(&["create", "-q", &name]);
    assert_eq!((made.status, made.stderr.as_str()), (0, ""), "{made:?}");
    fs::create_dir(stage.join("out")).expect("new");
    fs::write(stage.join("out/.tmp-x.tar1"), "x").expect("a file");
    let tar = stage.join("out/x.tar").display().to_string();
    let ran = first(&["export", "-o", &tar, made.stdout.trim()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert_eq!(fs::read_dir(stage.join("out")).expect("there").count(), 2);
    assert_eq!(stage.run(["gc"]).stdout, format!("freed {left} bytes in {left} files\n"));
}
