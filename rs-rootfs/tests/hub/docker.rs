//! A Docker daemon of a test's own.

use super::Stage;
use chain::testing::{Ran, find};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// See the module; ends with the value.
pub struct Docker {
    daemon: Child,
    pub socket: PathBuf,
    folder: PathBuf,
}

impl Docker {
    pub fn start(stage: &Stage) -> Self {
        let folder = stage.join("dockerd");
        let socket = stage.join("docker.sock");
        std::fs::create_dir_all(&folder).expect("a folder");
        // The daemon binds its data on itself, and leaves that behind.
        let mut command = Command::new("unshare");
        command.arg("--mount").arg(find("dockerd").expect("installed"));
        command.args(["--iptables=false", "--bridge=none", "--storage-driver=vfs", "-H"]);
        command.arg(format!("unix://{}", socket.display())).arg("--data-root").arg(folder.join("data"));
        command.arg("--exec-root").arg(folder.join("exec")).arg("--pidfile").arg(folder.join("pid"));
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let docker = Self { daemon: command.spawn().expect("it starts"), socket, folder };
        for _ in 0..600 {
            if docker.run(&["version"]).status == 0 {
                return docker;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("dockerd does not answer: {}", std::fs::read_to_string(docker.folder.join("log")).unwrap_or_default());
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(find("docker").expect("installed"));
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        command.env("DOCKER_CONFIG", &self.folder).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.command().args(args).output().expect("docker starts").into()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.daemon.id()).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}
