//! Every step of the examples, run as a reader would.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod common;

use chain::testing::{Ran, bin, needs};
use common::{Stage, top};

fn step(stage: &Stage, name: &str) -> Ran {
    let tools = bin("rs-unshare").parent().expect("a folder").display().to_string();
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = stage.command(top().join("examples").join(name).join("run"));
    command.env("PATH", path).output().expect("it starts").into()
}

/// The steps, and what the first line says beside `user 0`.
const STEPS: [(&str, &str, bool); 7] = [
    ("01-user", "user 0, ", false),
    ("02-host-name", "user 0, host box, ", false),
    ("03-processes", "user 0, host box, process 1", false),
    ("04-root", "user 0, host box, process 1", false),
    ("05-devices", "user 0, host box, process 1", false),
    ("06-limits", "user 0, host box, process 1", true),
    ("07-whole-container", "user 0, ", true),
];

#[test]
fn every_step_shows_what_it_says() {
    needs!("userns");
    for (name, begins, limits) in STEPS {
        if limits && !chain::testing::have("root") {
            continue;
        }
        let stage = Stage::new();
        let ran = step(&stage, name);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name}: {}", ran.stdout);
        assert!(ran.stdout.starts_with(begins), "{name}: {}", ran.stdout);
        assert_eq!(stage.left(""), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_folder_is_a_step_and_has_a_readme() {
    let folders = std::fs::read_dir(top().join("examples")).expect("examples").flatten();
    let mut names: Vec<String> = folders
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.as_bytes()[0].is_ascii_digit())
        .collect();
    names.sort();
    assert_eq!(names, STEPS.map(|(name, _, _)| name));
    for name in names {
        assert!(top().join("examples").join(&name).join("README.md").is_file(), "{name}");
    }
}
