//! `backup`: a copy of a running node's store, as files.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tonic::Streaming;

use super::Environment;
use super::arguments::NodeArguments;
use super::connection::Node;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, counted, facts};
use super::restore::verified;
use super::words;
use crate::archive::{ArchiveError, ArchiveWriter, Manifest, Recipient};
use crate::domain::FeedKey;
use crate::rpc::proto::backup_response::Part;
use crate::rpc::proto::node_service_client::NodeServiceClient;
use crate::rpc::proto::{BackupBegun, BackupRequest, BackupResponse};
use crate::store::{Piece, StoreError, Verification};

/// Bytes of the largest message of a backup: a piece and the largest row beyond it, with room for what stands around small ones.
const MAX_MESSAGE_BYTES: usize = 8 * 1_024 * 1_024;

const BACKUP_HELP: &str = "\
The node goes on meanwhile. The backup is of one moment, its end. Each feed in it is hashed anew and held against the checkpoint that
its member signed; what does not hold is told, and is no backup.

Run it again with the same folder after it broke off: it goes on after its last part, for an hour; then it begins anew. A backup that
is whole is never written to.

Not in it: configuration, keys, certificates, shares of pseudonym keys (which are repaired, not restored) and evidence. Needs the role
admin.

JSON: {folder, backup, alliance, member, as_of, recipients, parts, rows, bytes, feeds: [{feed, size, root}]}.";

#[derive(Args)]
#[command(after_help = BACKUP_HELP)]
pub(super) struct BackupArguments {
    /// A new folder for the backup, or that of one that broke off.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Encrypt it to this age recipient (age1...); several may be given, each of whom can decrypt it alone.
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    #[command(flatten)]
    node: NodeArguments,
}

/// What was made. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct BackedUp {
    folder: PathBuf,
    backup: String,
    alliance: String,
    member: String,
    as_of: Option<String>,
    recipients: Vec<String>,
    parts: usize,
    rows: u64,
    bytes: u64,
    feeds: Vec<crate::archive::ArchivedFeed>,
}

impl Show for BackedUp {
    fn table(&self) -> String {
        let encrypted = if self.recipients.is_empty() { "no".to_owned() } else { format!("to {}", self.recipients.join(", ")) };
        facts([
            ("folder", self.folder.display().to_string()),
            ("store of", format!("{} in {}", self.member, self.alliance)),
            ("as of", self.as_of.clone().unwrap_or_default()),
            ("size", format!("{} in {}, {} rows", words::bytes(self.bytes), counted(self.parts as u64, "part"), self.rows)),
            ("verified", verified(&self.feeds)),
            ("encrypted", encrypted),
        ])
    }
}

impl BackedUp {
    fn of(folder: PathBuf, manifest: Manifest) -> Self {
        Self {
            folder,
            as_of: manifest.as_of_ms.and_then(words::instant),
            parts: manifest.parts.len(),
            rows: manifest.parts.iter().map(|part| part.rows).sum(),
            bytes: manifest.bytes(),
            backup: manifest.backup,
            alliance: manifest.alliance,
            member: manifest.member,
            recipients: manifest.recipients,
            feeds: manifest.feeds,
        }
    }
}

pub(super) async fn run(
    arguments: BackupArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let recipients: Vec<Recipient> = arguments.recipients.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    // Before anything is asked of the node.
    let broken_off = ArchiveWriter::resume(&arguments.to, &recipients)?;
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let mut client = NodeServiceClient::new(node.channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let mut stream = None;
    if let Some(place) = broken_off.as_ref().and_then(ArchiveWriter::place) {
        let request = BackupRequest { backup: place.id.to_string(), after: place.after.into() };
        match client.backup(request).await.map_err(Failure::from) {
            Ok(resumed) => stream = Some((resumed.into_inner(), broken_off)),
            Err(failure) if failure.code() == StoreError::BackupEnded.code() => {
                printer.note("the backup in this folder cannot be gone on with; it begins anew");
            }
            Err(failure) => return Err(failure),
        }
    }
    let (mut stream, broken_off) = match stream {
        Some(resumed) => resumed,
        None => (client.backup(BackupRequest::default()).await?.into_inner(), None),
    };
    let begun = match next(&mut stream).await? {
        Part::Begun(begun) => begun,
        Part::Piece(_) => return Err(unexpected("it did not say what it sends")),
    };
    let writer = match broken_off {
        Some(writer) => writer,
        None => ArchiveWriter::begin(&arguments.to, manifest(&begun), &recipients)?,
    };
    let (manifest, found) = receive(stream, writer, &begun, printer).await?;
    refuse_flaws("the backup is not usable: the node's store is damaged", &found)?;
    printer.show(&BackedUp::of(arguments.to, manifest))?;
    Ok(Outcome::Done)
}

fn unexpected(what: &str) -> Failure {
    Failure::new("BACKUP_UNEXPECTED", format!("the node's answer is not understood: {what}"))
        .advise("use the node's version of this program")
}

async fn next(stream: &mut Streaming<BackupResponse>) -> Result<Part, Failure> {
    let response = stream.message().await?.ok_or_else(|| unexpected("it ended before its end"))?;
    response.part.ok_or_else(|| unexpected("a part of a kind that is not known"))
}

fn manifest(begun: &BackupBegun) -> Manifest {
    let BackupBegun { backup, alliance, member, version, at_ms, .. } = begun.clone();
    Manifest::begun(alliance, member, backup, version, at_ms)
}

async fn receive(
    mut stream: Streaming<BackupResponse>,
    mut writer: ArchiveWriter,
    begun: &BackupBegun,
    printer: &mut Printer,
) -> Result<(Manifest, Verification), Failure> {
    let secretariat = <[u8; 32]>::try_from(&*begun.secretariat_key).map(FeedKey);
    let secretariat = secretariat.map_err(|_| unexpected("the secretariat's key has 32 bytes"))?;
    let (alliance, member) = (begun.alliance.parse()?, begun.member.parse()?);
    let mut received = writer.manifest().bytes();
    loop {
        let Part::Piece(piece) = next(&mut stream).await? else { return Err(unexpected("it began twice")) };
        received += piece.rows.len() as u64;
        let (is_last, at_ms) = (piece.is_last, piece.at_ms);
        let piece =
            Piece::received(&piece.rows, !piece.until.is_empty()).ok_or_else(|| unexpected("rows that cannot be read"))?;
        // Disks are slow, and the runtime has another thread to keep the line alive with.
        tokio::task::block_in_place(|| writer.put(&piece))?;
        printer.progress(|| format!("{} received", words::bytes(received)));
        if is_last {
            printer.end_progress();
            return Ok(tokio::task::block_in_place(|| writer.finish(at_ms, &alliance, &member, &secretariat))?);
        }
    }
}

/// Tells what does not hold.
pub(super) fn refuse_flaws(sentence: &str, verified: &Verification) -> Result<(), Failure> {
    if verified.flaws.is_empty() {
        return Ok(());
    }
    let failure = Failure::new("STORE_DAMAGED", format!("{sentence}:\n  {}", verified.flaws.join("\n  ")));
    Err(failure
        .advise("put back an earlier backup, or get all back from the other members with `countermark restore --from-peers`"))
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::of(error.code(), &error)
    }
}
