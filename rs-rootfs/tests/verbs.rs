//! list, inspect, rm: what they print of images that are written oddly.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::needs;
use hub::{Access, Layout, Packed, Registry, Stage, host_architecture, tar_with};

/// Documents as some builders write them: `null` for what is not there, an
/// attestation beside the image, control characters in labels.
#[test]
fn odd_documents() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let registry = Registry::start(&stage, Access::Everybody);
    let layout = Layout::new(stage.join("layout"));
    let layer = [(tar_with(b"x"), Packed::Plain)];
    let start = r#"{"Cmd":["sh"],"Labels":{"a":"\u007f\u009b2J\u0007","b":"é\n"}}"#;
    let image = layout.image(host_architecture(), start, &layer);
    let image = image.replace(r#""os":"linux""#, r#""os":"linux","variant":null"#);
    let other = layout.image("unknown", "{}", &layer).replace(r#""os":"linux""#, r#""os":"unknown""#);
    let other = other.replacen('{', r#"{"annotations":{"vnd.docker.reference.type":"attestation-manifest"},"#, 1);
    let bare = image.split(r#","platform""#).next().expect("a descriptor").to_owned() + "}";
    layout.tag(&[
        ("both", &layout.index(&[image.clone(), other.clone()])),
        ("first", &layout.index(&[other.clone(), bare.clone()])),
        ("one", &bare),
    ]);
    for tag in ["both", "first", "one"] {
        registry.push(&layout, tag, &format!("{tag}:1"));
        let ran = stage.unpack(&format!("docker://{}/{tag}:1", registry.host()), tag);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{tag}: {ran:?}");
        let ran = stage.unpack(&format!("oci:{}:{tag}", layout.path.display()), &format!("oci-{tag}"));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{tag}: {ran:?}");
    }
    // Beside it in the layout's own index too.
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{other},{image}]}}"#);
    std::fs::write(layout.path.join("index.json"), index).expect("a file");
    let ran = stage.unpack(&format!("oci:{}", layout.path.display()), "only");
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let name = format!("{}/one:1", registry.host());
    let shown = stage.run(["inspect", &name]).stdout;
    assert!(shown.contains(r#""a": "\u007f\u009b2J\u0007""#) && shown.contains(r#""b": "é\n""#), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(json[0]["Config"]["Labels"]["a"], "\u{7f}\u{9b}2J\u{7}");
    // Three names, one image: its ID once.
    let listed = stage.run(["list", "-q"]);
    assert_eq!((listed.status, listed.stdout.lines().count()), (0, 1), "{listed:?}");
    let second = layout.image(host_architecture(), r#"{"Cmd":["other"]}"#, &layer);
    layout.tag(&[("it", &second)]);
    registry.push(&layout, "it", "middle:1");
    let ran = stage.unpack(&format!("docker://{}/middle:1", registry.host()), "middle");
    assert_eq!(ran.status, 0, "{ran:?}");
    // In the order of their first names: both, middle.
    let rows = stage.run(["list"]).stdout;
    let id = |row: &str| row.split_ascii_whitespace().nth(2).expect("an ID").to_owned();
    let rows: Vec<_> = rows.lines().skip(1).map(id).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(stage.run(["list", "-q"]).stdout, format!("{}\n{}\n", rows[0], rows[2]), "{rows:?}");
}

#[test]
fn remove_is_rm() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = hub::registry_with(&stage, "app:1", b"x");
    let name = format!("{}/app:1", registry.host());
    for words in [&["remove"][..], &["container", "remove"], &["container", "rm"]] {
        assert_eq!(stage.run(["create", "-q", "--name", "one", &name]).status, 0);
        let ran = stage.run(words.iter().copied().chain(["one"]));
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "one\n", ""), "{words:?}");
    }
    assert_eq!(stage.run(["remove", &name]).stdout, format!("Untagged: {name}\n"));
    // docker itself has it below `container` alone.
    assert_eq!(stage.docker(["remove", "one"]).stderr.lines().next(), Some("docker: unknown command: docker remove"));
}
