//! The alliance that is measured: its folders on the disk in question, and its servers, each a process of its own, so that
//! what a node costs can be told from what its clients cost.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use procfs::process::Process;
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::alliance::folder::{AllianceFolder, MemberFolder};
use crate::cli::Environment;
use crate::cli::alliance::{FirstMember, found};
use crate::cli::connection::Node;
use crate::cli::failure::Failure;
use crate::cli::loopback::free_pair;
use crate::config;
use crate::domain::{MemberKind, Scheme};

const ALLIANCE: &str = "bench.test";
/// Connections from the clients to a server.
pub(super) const CONNECTIONS: usize = 4;
/// How long a server may take until it answers: a large store is read anew.
const PATIENCE: Duration = Duration::from_secs(600);
/// Lines of its log that are shown of a server that ended: an error and what to do.
const LAST_LINES: usize = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The folders.
pub(super) struct Rig {
    folder: TempDir,
    program: PathBuf,
    environment: Environment,
    homes: Vec<MemberFolder>,
}

impl Rig {
    /// Founds an alliance of `members` members below `folder`, all of whom have the key. The first is a platform. Only the first two ever
    /// run nodes.
    pub(super) async fn found(folder: &Path, members: usize, environment: &Environment) -> Result<Self, Failure> {
        Self::found_with(folder, members, 2, Scheme::HmacSha256, environment).await
    }

    /// The same with pseudonyms of this scheme, and nodes for so many.
    pub(super) async fn found_with(
        folder: &Path,
        members: usize,
        nodes: usize,
        scheme: Scheme,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("countermark-bench-").tempdir_in(folder);
        let folder =
            folder.map_err(|error| Failure::of("BENCH_FOLDER", &error).advise("give --folder a folder you may write to"))?;
        let program =
            environment.program.clone().ok_or_else(|| Failure::new("BENCH_PROGRAM", "this program cannot be found"))?;
        let mut first = Vec::new();
        for number in 0..members {
            let kind = if number == 0 { MemberKind::Platform } else { MemberKind::Brand };
            first.push(FirstMember {
                id: format!("m{number}").parse()?,
                kind,
                address: address(number, nodes).await?.to_string(),
            });
        }
        // Its own, not the one of whoever runs this: no setting of theirs is to reach these nodes.
        let environment = Environment { variables: config::Environment::default(), ..environment.clone() };
        let secretariat = AllianceFolder::at(folder.path().join("alliance"));
        let homes = found(&ALLIANCE.parse()?, &secretariat, &first, scheme, &environment)?;
        Ok(Self { folder, program, environment, homes })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The secretariat's folder.
    pub(super) fn secretariat(&self) -> AllianceFolder {
        AllianceFolder::at(self.folder.path().join("alliance"))
    }

    pub(super) fn home(&self, member: usize) -> &MemberFolder {
        &self.homes[member]
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Starts a member's node, and waits until it answers.
    pub(super) async fn node(&self, member: usize) -> Result<Server, Failure> {
        let config = self.homes[member].path().join("node.toml");
        // The store is all there is of its feed, so that nothing has to be compared.
        let arguments = ["serve".as_ref(), "--trust-own-feed".as_ref(), "--config".as_ref(), config.as_os_str()];
        Server::start(self, member, &arguments, None).await
    }

    /// Starts a server that presents the same certificates as a member's node and does nothing.
    pub(super) async fn nothing(&self, member: usize, answers: &Path) -> Result<Server, Failure> {
        let config = self.homes[member].path().join("node.toml");
        let listen = free_pair().await?.clients.local_addr().map_err(|error| Failure::of("BENCH_PORTS", &error))?;
        let address = listen.to_string();
        let arguments = [
            "answer-nothing".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            "--answers".as_ref(),
            answers.as_os_str(),
            "--listen".as_ref(),
            address.as_ref(),
        ];
        Server::start(self, member, &arguments, Some(listen)).await
    }
}

/// Where a member is said to be. Those without a node are where nobody answers.
async fn address(number: usize, nodes: usize) -> Result<SocketAddr, Failure> {
    if number < nodes {
        let pair = free_pair().await?;
        return pair.peers.local_addr().map_err(|error| Failure::of("BENCH_PORTS", &error));
    }
    let port = u16::try_from(2 * number).unwrap_or(u16::MAX);
    Ok(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), port)))
}

/// A process that answers.
pub(super) struct Server {
    child: Child,
    /// Connections to it.
    pub(super) channels: Vec<Channel>,
    /// From its start until it answered.
    pub(super) ready_after: Duration,
}

impl Server {
    async fn start(
        rig: &Rig,
        member: usize,
        arguments: &[&std::ffi::OsStr],
        listen: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let of = |error: io::Error| Failure::of("BENCH_SERVER", &error);
        let log = rig.path().join(format!("m{member}{}.log", if listen.is_some() { "-nothing" } else { "" }));
        let began = Instant::now();
        let child = Command::new(&rig.program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(of)?)
            .spawn()
            .map_err(of)?;
        let mut server = Self { child, channels: Vec::new(), ready_after: Duration::ZERO };
        let client = rig.homes[member].path().join("client.toml");
        let mut environment = rig.environment.clone();
        if let Some(address) = listen {
            let setting = ("COUNTERMARK__CLIENT__ADDRESS".into(), address.to_string().into());
            environment.variables = config::Environment::of([setting]);
        }
        let first = server.first_answer(&client, &environment, &log, began).await?;
        server.ready_after = began.elapsed();
        server.channels.push(first);
        while server.channels.len() < CONNECTIONS {
            server.channels.push(Node::reach(Some(&client), &environment).await?.channel);
        }
        Ok(server)
    }

    async fn first_answer(
        &mut self,
        client: &Path,
        environment: &Environment,
        log: &Path,
        began: Instant,
    ) -> Result<Channel, Failure> {
        let mut pause = tokio::time::interval(LOOK_AGAIN);
        loop {
            let error = match Node::reach(Some(client), environment).await {
                Ok(node) => return Ok(node.channel),
                Err(error) => error,
            };
            let ended = self.child.try_wait().map_err(|error| Failure::of("BENCH_SERVER", &error))?;
            if ended.is_some() {
                return Err(Failure::new("BENCH_SERVER", format!("a node ended before it answered; {}", last_words(log))));
            }
            if began.elapsed() > PATIENCE {
                return Err(error);
            }
            pause.tick().await;
        }
    }

    /// One of its connections.
    pub(super) fn channel(&self, number: usize) -> Channel {
        self.channels[number % self.channels.len()].clone()
    }

    /// What the process has used up to now.
    pub(super) fn usage(&self) -> Result<Usage, Failure> {
        let of = |error: procfs::ProcError| Failure::of("BENCH_PROC", &error).advise("this needs Linux with /proc mounted");
        let pid = i32::try_from(self.child.id()).map_err(|error| Failure::of("BENCH_PROC", &error))?;
        let process = Process::new(pid).map_err(of)?;
        let (stat, status) = (process.stat().map_err(of)?, process.status().map_err(of)?);
        let ticks = (stat.utime + stat.stime) as f64;
        Ok(Usage {
            cpu: Duration::from_secs_f64(ticks / procfs::ticks_per_second() as f64),
            resident: 1_024 * status.vmrss.unwrap_or(0),
            peak: 1_024 * status.vmhwm.unwrap_or(0),
        })
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|error| Failure::of("BENCH_SERVER", &error))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; the folder goes after it in any case.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

/// What a server wrote last.
fn last_words(log: &Path) -> String {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.get(lines.len().saturating_sub(LAST_LINES)..) {
        Some(last) if !last.is_empty() => format!("its last lines:\n{}", last.join("\n")),
        _ => "it said nothing".to_owned(),
    }
}

/// What a process has used since it started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// Of all its threads.
    pub(super) cpu: Duration,
    /// Bytes in memory now.
    pub(super) resident: u64,
    /// Most bytes in memory at any time.
    pub(super) peak: u64,
}
