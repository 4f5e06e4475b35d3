//! An alliance of real programs: folders from `alliance init`, `serve` for each node, and clients over the folders' certificates.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use countermark::rpc::connector::connect;
use countermark::rpc::tls::{Credentials, TrustAnchors, client_config};
use zeroize::Zeroizing;

use super::Client;
use super::ports::port_pair;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_countermark");

/// A program that runs until the test ends.
pub struct Running(pub Child);

impl Running {
    /// Has it stop (SIGTERM), and waits until it has done so as it should.
    pub fn stop(mut self) {
        let told = Command::new("kill").arg(self.0.id().to_string()).status().expect("kill runs");
        assert!(told.success() && self.0.wait().expect("ends").success());
    }

    /// Ends it as a crash would (SIGKILL).
    pub fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs the program to its end.
pub fn program(arguments: &[&str]) -> Output {
    program_at(PROGRAM, arguments)
}

/// The same with another one.
pub fn program_at(path: &str, arguments: &[&str]) -> Output {
    Command::new(path).args(arguments).stdin(Stdio::null()).output().expect("runs")
}

/// The folders of an alliance, for a test.
pub struct Programs {
    root: tempfile::TempDir,
    members: Vec<String>,
}

impl Drop for Programs {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let roster = std::fs::read(self.home(&self.members[0]).join("roster.note")).expect("a roster");
            super::evidence::assert_silent(
                self.members.iter().flat_map(|member| [self.data(member), self.log(member)]),
                &roster,
            );
            let each = |of: &dyn Fn(&str) -> PathBuf| self.members.iter().map(|member| of(member)).collect::<Vec<_>>();
            super::secrets::assert_kept(&each(&|member| self.home(member)), &each(&|member| self.log(member)));
        }
    }
}

impl Programs {
    /// Founds an alliance of `members`, each `id:kind`, with a key that all of them have.
    pub fn found(members: &[&str]) -> Self {
        Self::found_with("hmac-sha256", members)
    }

    /// The same, with pseudonyms of this scheme.
    pub fn found_with(scheme: &str, members: &[&str]) -> Self {
        Self::found_by(PROGRAM, scheme, members)
    }

    /// The same, by another program.
    pub fn found_by(path: &str, scheme: &str, members: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("alliance").display().to_string();
        let members: Vec<String> = members.iter().map(|m| format!("{m}:127.0.0.1:{}", port_pair())).collect();
        let mut arguments = vec!["alliance", "init", "--name", "alliance.example", "--folder", &folder];
        arguments.extend(["--scheme", scheme]);
        members.iter().for_each(|member| arguments.extend(["--member", member]));
        let output = program_at(path, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let members = members.iter().map(|m| m.split(':').next().unwrap_or_default().to_owned()).collect();
        Self { root, members }
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn home(&self, member: &str) -> PathBuf {
        self.root().join("alliance/members").join(member)
    }

    pub fn data(&self, member: &str) -> PathBuf {
        self.home(member).join("data")
    }

    pub fn log(&self, member: &str) -> PathBuf {
        self.root().join(format!("{member}.log"))
    }

    /// The argument of `--config` for a client of `member`.
    pub fn client_config(&self, member: &str) -> String {
        self.home(member).join("client.toml").display().to_string()
    }

    /// A setting of a member's configuration file, such as `clients` and `address`.
    fn setting(&self, file: &str, member: &str, section: &str, key: &str) -> String {
        let text = std::fs::read_to_string(self.home(member).join(file)).expect("a configuration");
        let parsed: toml::Table = text.parse().expect("TOML");
        parsed[section][key].as_str().expect("a text").to_owned()
    }

    /// Where `member`'s node listens for others.
    pub fn peers(&self, member: &str) -> String {
        self.setting("node.toml", member, "peers", "listen")
    }

    /// Where `member`'s node listens for its clients.
    pub fn clients(&self, member: &str) -> String {
        self.setting("node.toml", member, "clients", "listen")
    }

    /// Of the operator's client.
    pub fn client_credentials(&self, member: &str) -> Credentials {
        self.credentials(member, "clients/operator/client")
    }

    /// From its next start on, `from`'s node reaches `to`'s at `address`. Once for each `from`.
    pub fn route(&self, from: &str, to: &str, address: impl ToString) {
        let path = self.home(from).join("node.toml");
        let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("a configuration");
        writeln!(file, "\n[peers.addresses]\n{to} = \"{}\"", address.to_string()).expect("written");
    }

    /// A command that serves `member`'s node and adds to its log.
    pub fn command(&self, member: &str) -> Command {
        self.command_of(PROGRAM, member)
    }

    fn command_of(&self, path: &str, member: &str) -> Command {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(member)).expect("a log");
        let mut command = Command::new(path);
        command.args(["serve", "--config"]).arg(self.home(member));
        command.env("COUNTERMARK__LOG__FORMAT", "json").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    pub fn serve(&self, member: &str) -> Running {
        self.serve_by(PROGRAM, member)
    }

    /// The same, by another program.
    pub fn serve_by(&self, path: &str, member: &str) -> Running {
        Running(self.command_of(path, member).spawn().expect("starts"))
    }

    pub fn node_credentials(&self, member: &str) -> Credentials {
        self.credentials(member, "node")
    }

    fn credentials(&self, member: &str, name: &str) -> Credentials {
        let read = |extension: &str| std::fs::read_to_string(self.home(member).join(format!("{name}.{extension}")));
        Credentials { chain: read("pem").expect("a certificate"), key: Zeroizing::new(read("key").expect("a key")) }
    }

    pub fn anchors(&self, member: &str) -> TrustAnchors {
        let ca = std::fs::read_to_string(self.home(member).join("alliance-ca.pem")).expect("a CA");
        TrustAnchors { ca, crls: vec![] }
    }

    /// The operator's client of `member`'s node, as soon as it answers.
    pub async fn client(&self, member: &str) -> Client {
        let own = self.client_credentials(member);
        let tls = Arc::new(client_config(&own, &self.anchors(member)).expect("valid"));
        let address = self.setting("client.toml", member, "client", "address");
        let name = self.setting("client.toml", member, "client", "server_name");
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
        let answered = tokio::time::timeout(super::PATIENCE, async {
            loop {
                if let Ok(channel) = connect(&address, name.clone(), tls.clone()).await {
                    return Client::on(channel);
                }
                pause.tick().await;
            }
        });
        answered.await.expect("the node answers")
    }
}
