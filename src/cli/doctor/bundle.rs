//! What is handed to whoever helps: what was found, and what the node tells of itself. No file of the node is copied into it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tar::{Builder, Header};
use tokio::net::TcpStream;

use super::Diagnosis;
use crate::cli::failure::Failure;
use crate::cli::output::Show as _;
use crate::cli::status;
use crate::config::{NodeConfig, Summary};
use crate::domain::Timestamp;
use crate::rpc::proto::GetStatusResponse;

/// Time for the metrics.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of metrics that are taken: a thousand members in some groups have a tenth of it.
const MAX_METRICS_BYTES: usize = 16 * 1_024 * 1_024;
/// Files of the system that say what kind of machine it is.
const MACHINE: [&str; 4] = ["/proc/version", "/etc/os-release", "/proc/meminfo", "/proc/loadavg"];

/// What goes into a bundle beside the findings.
#[derive(Default)]
pub(super) struct Contents {
    configuration: Option<Summary>,
    status: Option<GetStatusResponse>,
    metrics: Option<Result<Vec<u8>, String>>,
}

impl Contents {
    pub(super) fn configuration(&mut self, summary: Option<Summary>) {
        self.configuration = summary;
    }

    pub(super) fn status(&mut self, status: GetStatusResponse) {
        self.status = Some(status);
    }

    /// Asks the node for its metrics, where the configuration says that it tells them.
    pub(super) async fn fetch_metrics(&mut self, config: &NodeConfig) {
        if let Some(monitoring) = &config.monitoring {
            let fetched = tokio::time::timeout(PATIENCE, fetch(monitoring.listen.address())).await;
            let fetched = fetched.unwrap_or_else(|_| Err("the monitoring listener does not answer".into()));
            self.metrics = Some(fetched.map_err(|error| error.to_string()));
        }
    }

    /// Writes a new file that nobody else may read.
    ///
    /// # Errors
    /// Where there is such a file already, or no room.
    pub(super) fn write(self, file: &Path, diagnosis: &Diagnosis, now: Timestamp) -> Result<(), Failure> {
        let of = |error: io::Error| Failure::of("BUNDLE", &error).advise("name a new file in a folder that you may write to");
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(of)?;
        let mut archive =
            Archive { tar: Builder::new(GzEncoder::new(new, Compression::default())), now: now.unix_ms() / 1_000 };
        for (name, bytes) in self.files(diagnosis)? {
            archive.add(&name, &bytes).map_err(of)?;
        }
        archive.tar.into_inner().and_then(GzEncoder::finish).and_then(|file| file.sync_all()).map_err(of)
    }

    fn files(self, diagnosis: &Diagnosis) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let json = |error: serde_json::Error| Failure::of("BUNDLE_JSON", &error);
        let mut files = vec![
            ("version.txt".to_owned(), format!("countermark {}\n", env!("CARGO_PKG_VERSION")).into_bytes()),
            ("doctor.txt".to_owned(), diagnosis.table().into_bytes()),
            ("doctor.json".to_owned(), serde_json::to_vec_pretty(diagnosis).map_err(json)?),
        ];
        files.extend(self.configuration.map(|summary| ("configuration.txt".to_owned(), summary.to_string().into_bytes())));
        if let Some(status) = self.status {
            files.push(("status.json".to_owned(), status::as_json(status).map_err(json)?));
        }
        match self.metrics {
            Some(Ok(metrics)) => files.push(("metrics.txt".to_owned(), metrics)),
            Some(Err(error)) => files.push(("metrics-missing.txt".to_owned(), (error + "\n").into_bytes())),
            None => {}
        }
        let machine =
            MACHINE.iter().filter_map(|path| Some((path.trim_start_matches('/').replace('/', "-"), fs::read(path).ok()?)));
        files.extend(machine);
        Ok(files)
    }
}

struct Archive<W: Write> {
    tar: Builder<W>,
    /// Seconds since 1970.
    now: i64,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now).unwrap_or(0));
        self.tar.append_data(&mut header, format!("countermark-support/{name}"), bytes)
    }
}

async fn fetch(address: SocketAddr) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/metrics").header("host", address.to_string()).body(Empty::<bytes::Bytes>::new())?;
    let answered = async {
        let response = sender.send_request(request).await?;
        Limited::new(response.into_body(), MAX_METRICS_BYTES).collect().await
    };
    tokio::select! {
        answered = answered => Ok(answered?.to_bytes().to_vec()),
        ended = connection => Err(ended.err().map_or_else(|| "the connection ended".into(), Into::into)),
    }
}
