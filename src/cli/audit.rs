//! `audit`: who did what with the node, and whether anybody changed what was noted of it.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use tonic::transport::Channel;

use super::Environment;
use super::alliance::read_roster;
use super::arguments::NodeArguments;
use super::connection::{Node, page_size};
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, counted, facts, plain};
use crate::domain::{AllianceName, AuditKind, AuditRecord, ClientName, MemberId, Seq};
use crate::feed::{AuditHead, Frontier, Hash, SignedRoster, decode_audit, leaf_hash};
use crate::rpc::proto::audit_service_client::AuditServiceClient;
use crate::rpc::proto::{ListAuditRequest, ListAuditResponse};

/// The layout of an export. A newer one is refused.
const FORMAT: &str = "countermark-audit/1";
/// Bytes of a line of an export: a record in words and in base64, or the head with a frontier.
const MAX_LINE_BYTES: u64 = 16 * 1_024;

const AUDIT_HELP: &str = "\
Without a command: the records, the oldest first. Who is the client that the certificate names; what is said of it are names of entries,
watches, alerts and overrides, and of checks digests of their references (the first 8 bytes of the SHA-256 of each, at most 16). No
identifier of a seller is in it. Checks of one client within a second are one record, and so are rings (of a ring around a signal the digest of its
name) and pages of a search for leads. Listings and what else only reads are not noted. Takes the role admin.

JSON, an object a line: {record, at, client, certificate, kind, reference, count}.";

#[derive(Args)]
#[command(after_long_help = AUDIT_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct AuditArguments {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    /// Begin at the record with this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    from: u64,
    /// Only what this client did.
    #[arg(long, value_name = "NAME")]
    client: Option<ClientName>,
    /// Only this: check, submission, retraction, decision, export, ...
    #[arg(long)]
    kind: Option<AuditKind>,
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Write the whole log into a file, with the head that the member signed.
    Export(ExportArguments),
    /// Verify such a file without a node: that it is what the member signed, and goes on from an earlier one.
    Verify(VerifyArguments),
}

const EXPORT_HELP: &str = "\
Keep it where whoever runs the node cannot change it: what the node shows later is then verified against it. The first line has the
signed head, and each further line a record.

JSON: {file, records, size}.";

#[derive(Args)]
#[command(after_long_help = EXPORT_HELP)]
struct ExportArguments {
    /// Where to write it; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    node: NodeArguments,
}

const VERIFY_HELP: &str = "\
Recomputes the tree over the records and compares it with the head that the member signed. With --earlier it also shows that nothing of
what stood in the log then was changed or left out since.

JSON: {alliance, member, records, size, root, earlier}.";

#[derive(Args)]
#[command(after_long_help = VERIFY_HELP)]
struct VerifyArguments {
    /// The file that `audit export` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// One that it wrote before.
    #[arg(long, value_name = "FILE")]
    earlier: Option<PathBuf>,
    /// File with the roster as signed note.
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,
    /// File with the secretariat's key in base64, such as roster.pub of a member's folder.
    #[arg(long, value_name = "FILE")]
    secretariat_key: PathBuf,
}

type Client = AuditServiceClient<Channel>;

async fn reach(node: &NodeArguments, environment: &Environment) -> Result<Client, Failure> {
    Ok(AuditServiceClient::new(Node::reach(node.config.as_deref(), environment).await?.channel))
}

pub(super) async fn run(
    arguments: AuditArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    match &arguments.command {
        None => list(&arguments, environment, printer).await?,
        Some(AuditCommand::Export(export)) => {
            let client = reach(&export.node, environment).await?;
            printer.show(&write(client, &export.out).await?)?;
        }
        Some(AuditCommand::Verify(arguments)) => printer.show(&verify(arguments)?)?,
    }
    Ok(Outcome::Done)
}

async fn page(client: &mut Client, from: u64) -> Result<ListAuditResponse, Failure> {
    Ok(client.list_audit(ListAuditRequest { from, page_size: page_size() }).await?.into_inner())
}

async fn list(arguments: &AuditArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let mut client = reach(&arguments.node, environment).await?;
    let mut from = arguments.from;
    loop {
        let page = page(&mut client, from).await?;
        from = page.first + page.records.len() as u64;
        let is_last = page.records.is_empty() || from >= page.size;
        for (number, bytes) in (page.first..).zip(&page.records) {
            let read = decode_audit(bytes);
            let wanted = read.as_ref().is_none_or(|record| {
                arguments.client.as_ref().is_none_or(|client| record.actor.client == *client)
                    && arguments.kind.is_none_or(|kind| record.kind == kind)
            });
            if wanted {
                printer.record(&Record::of(number, read.as_ref()))?;
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// A record as it is printed. Its JSON fields are part of the interface.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    record: u64,
    at: String,
    client: String,
    certificate: String,
    kind: String,
    reference: String,
    count: u32,
}

impl Record {
    /// One that this version does not understand is shown by its number.
    fn of(number: u64, record: Option<&AuditRecord>) -> Self {
        let text = |text: fn(&AuditRecord) -> String| record.map(text).unwrap_or_default();
        Self {
            record: number,
            at: text(|record| record.at.to_string()),
            client: text(|record| record.actor.client.to_string()),
            certificate: text(|record| record.actor.certificate.clone()),
            kind: record.map_or("unknown", |record| record.kind.as_str()).to_owned(),
            reference: text(|record| record.reference.clone()),
            count: record.map_or(0, |record| record.count),
        }
    }
}

impl Show for Record {
    fn table(&self) -> String {
        let Self { record, at, client, kind, reference, count, .. } = self;
        plain(&format!("{record}  {at}  {client}  {kind} {count}  {reference}")).trim_end().to_owned() + "\n"
    }
}

/// The first line of an export.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    size: u64,
    /// The signed note.
    head: String,
    /// The first record that is kept, and the frontier of those before it, in base64.
    kept_from: u64,
    kept_frontier: Vec<String>,
}

/// A further line.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    record: Record,
    /// What is hashed, in base64.
    bytes: String,
}

async fn write(mut client: Client, path: &Path) -> Result<Exported, Failure> {
    let unwritable = |error: std::io::Error| {
        let sentence = format!("{} cannot be written: {}", path.display(), error.kind());
        Failure::new("AUDIT_UNWRITABLE", sentence)
            .advise("give the path of a file that does not exist yet, where there is room")
    };
    let mut page_at_hand = page(&mut client, 0).await?;
    if page_at_hand.head.is_empty() {
        let failure = Failure::new("AUDIT_EMPTY", "nothing is noted in the log yet, so nothing is signed");
        return Err(failure.advise("export it when a client has done something"));
    }
    let file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    let mut out = BufWriter::new(file);
    let head = Head {
        format: FORMAT.to_owned(),
        size: page_at_hand.size,
        head: String::from_utf8_lossy(&page_at_hand.head).into_owned(),
        kept_from: page_at_hand.kept_from,
        kept_frontier: page_at_hand.kept_frontier.iter().map(|hash| BASE64.encode(hash)).collect(),
    };
    write_line(&mut out, &head)?.map_err(unwritable)?;
    let mut next = head.kept_from;
    while next < head.size {
        if page_at_hand.first != next || page_at_hand.records.is_empty() {
            let failure = Failure::new("AUDIT_PRUNED", "old records were removed meanwhile");
            return Err(failure.advise("remove the file and export again"));
        }
        for bytes in page_at_hand.records.iter().take(usize::try_from(head.size - next).unwrap_or(usize::MAX)) {
            let record = Record::of(next, decode_audit(bytes).as_ref());
            write_line(&mut out, &Line { record, bytes: BASE64.encode(bytes) })?.map_err(unwritable)?;
            next += 1;
        }
        if next < head.size {
            page_at_hand = page(&mut client, next).await?;
        }
    }
    out.into_inner().map_err(|error| unwritable(error.into_error()))?.sync_all().map_err(unwritable)?;
    Ok(Exported { file: path.display().to_string(), records: head.size - head.kept_from, size: head.size })
}

fn write_line(out: &mut impl std::io::Write, line: &impl Serialize) -> Result<std::io::Result<()>, Failure> {
    let text = serde_json::to_string(line).map_err(|error| Failure::of("OUTPUT_FAILED", &error))?;
    Ok(writeln!(out, "{text}"))
}

/// What was written. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Exported {
    file: String,
    records: u64,
    /// Records that there ever were.
    size: u64,
}

impl Show for Exported {
    fn table(&self) -> String {
        facts([("file", self.file.clone()), ("records", format!("{} of {}", self.records, self.size))])
    }
}

fn malformed(what: &str) -> Failure {
    Failure::new("AUDIT_MALFORMED", format!("{what} cannot be read")).advise("give the file as `audit export` wrote it")
}

/// Lines of bounded length.
pub(super) struct Lines<R>(pub(super) R);

impl Lines<BufReader<File>> {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path)
            .map_err(|error| Failure::of("INPUT_UNREADABLE", &error).advise("give the file as `audit export` wrote it"))?;
        Ok(Self(BufReader::new(file)))
    }
}

impl<R: BufRead> Lines<R> {
    fn next<T: for<'de> Deserialize<'de>>(&mut self, what: &str) -> Result<Option<T>, Failure> {
        let mut line = Vec::new();
        let read = self.0.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::of("INPUT_UNREADABLE", &error))? == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&line).map(Some).map_err(|_| malformed(what))
    }

    fn head(&mut self) -> Result<Head, Failure> {
        let head: Head = self.next("the first line")?.ok_or_else(|| malformed("the first line"))?;
        if head.format != FORMAT {
            let failure = Failure::new("AUDIT_FORMAT", format!("the export is in the format {}", head.format));
            return Err(failure.advise(format!("this version reads {FORMAT}")));
        }
        Ok(head)
    }
}

/// Alliance and member that a head claims to be of.
fn claimed(head: &str) -> Option<(AllianceName, MemberId)> {
    let (alliance, rest) = head.lines().next()?.split_once('/')?;
    Some((alliance.parse().ok()?, rest.split_once('/')?.0.parse().ok()?))
}

fn verify(arguments: &VerifyArguments) -> Result<Verified, Failure> {
    let signed = read_roster(&arguments.roster, &arguments.secretariat_key)?;
    let earlier = arguments.earlier.as_deref().map(Lines::open).transpose()?;
    verified(Lines::open(&arguments.file)?, earlier, &signed)
}

/// Verifies an export, and that it goes on from an earlier one, by the roster.
pub(super) fn verified<R: BufRead>(
    mut lines: Lines<R>,
    earlier: Option<Lines<R>>,
    signed: &SignedRoster,
) -> Result<Verified, Failure> {
    let alliance = signed.roster().alliance.clone();
    let head = lines.head()?;
    let (of, member) = claimed(&head.head).ok_or_else(|| malformed("the head"))?;
    let listed = signed.roster().member(&member).filter(|_| of == alliance);
    let key = listed.ok_or_else(|| Failure::new("AUDIT_UNKNOWN_MEMBER", "the roster has no such member"))?.feed_key;
    let open = |head: &str| {
        AuditHead::open(head.as_bytes(), &alliance, &member, &key).map_err(|error| Failure::of(error.code(), &error))
    };
    let signed_head = open(&head.head)?;
    let earlier = earlier.map(|mut lines| open(&lines.head()?.head)).transpose()?;
    let hashes = head.kept_frontier.iter().map(|hash| Hash::try_from(BASE64.decode(hash).ok()?.as_slice()).ok());
    let frontier = hashes.collect::<Option<_>>().and_then(|hashes| Frontier::from_parts(Seq::new(head.kept_from), hashes).ok());
    let mut frontier = frontier.ok_or_else(|| malformed("the first line"))?;
    let changed = |what: &str| {
        let failure = Failure::new("AUDIT_CHANGED", what);
        failure.advise("somebody changed the file or the log: keep both, and find out who")
    };
    if earlier.is_some_and(|earlier| earlier.size < frontier.size()) {
        let failure = Failure::new("AUDIT_EARLIER_TOO_OLD", "the earlier export ends before what this one begins with");
        return Err(failure.advise("compare with a newer one; what was kept long enough is removed"));
    }
    let mut agrees = earlier.is_none_or(|earlier| earlier.size == frontier.size() && earlier.root == frontier.root());
    while let Some(Line { record, bytes }) = lines.next::<Line>("a record")? {
        let bytes = BASE64.decode(bytes).map_err(|_| malformed("a record"))?;
        if record != Record::of(frontier.size().get(), decode_audit(&bytes).as_ref()) {
            return Err(changed(&format!("record {} does not say what its bytes say", frontier.size())));
        }
        frontier.push(leaf_hash(&bytes));
        agrees |= earlier.is_some_and(|earlier| earlier.size == frontier.size() && earlier.root == frontier.root());
    }
    if frontier.size() != signed_head.size || frontier.root() != signed_head.root {
        return Err(changed("the records are not those that the member signed"));
    }
    if !agrees {
        return Err(changed("the log does not go on from the earlier export"));
    }
    Ok(Verified {
        alliance: alliance.to_string(),
        member: member.to_string(),
        records: frontier.size().since(Seq::new(head.kept_from)),
        size: frontier.size().get(),
        root: frontier.root().to_string(),
        earlier: earlier.map(|earlier| earlier.size.get()),
    })
}

/// What holds. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    alliance: String,
    member: String,
    records: u64,
    size: u64,
    /// Lower-case hexadecimal.
    root: String,
    /// Records of the earlier export; null where none was given.
    earlier: Option<u64>,
}

impl Show for Verified {
    fn table(&self) -> String {
        let earlier = match self.earlier {
            Some(size) => format!("nothing of its {} was changed", counted(size, "record")),
            None => "not given; what was there before is as the member says now".to_owned(),
        };
        facts([
            ("log", format!("of {} of {}", self.member, self.alliance)),
            ("records", format!("{} of {}, as the member signed them", self.records, self.size)),
            ("root", self.root.clone()),
            ("earlier", earlier),
        ])
    }
}
