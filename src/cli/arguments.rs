//! The command line as it is typed, in types of the domain: what parses here is usable as it is.
//!
//! Nothing here has a `Debug`: what was typed may be an identifier.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use super::alliance::AllianceKeyCommand;
use super::alliance::FirstMember;
use super::audit::AuditArguments;
use super::backup::BackupArguments;
use super::cases::{
    AmendArguments, DisputeCommand, EraseArguments, ErasuresArguments, MarkArguments, OpinionArguments, OverrideCommand,
    SignalArguments, UnmarkArguments,
};
use super::check::SellerArguments;
use super::completions::CompletionsArguments;
use super::doctor::DoctorArguments;
use super::keys::KeyCommand;
use super::leads::LeadsArguments;
use super::man::ManArguments;
use super::output::OutputFormat;
use super::reading::{ReadArguments, StatementArguments};
use super::reload::ReloadArguments;
use super::restore::{RestoreArguments, StoreVerifyArguments};
use super::ring::RingArguments;
use super::watch::{AlertsArguments, WatchArguments};
use crate::domain::{
    AllianceName, Audience, ClientName, GroupName, MemberId, MemberKind, RetractionReason, Role, Scheme, SignalRef,
};

const EXIT_CODES: &str = "Exit codes: 0 done (for `check`: not flagged), 1 failed, 2 usage, 3 flagged.\n\
    Data goes to standard output, notes, progress and errors to standard error.";

/// The node of an anti-counterfeiting alliance, and all that talks to it.
#[derive(Parser)]
#[command(name = "countermark", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(super) struct Arguments {
    /// How to print: a table for people, or JSON.
    #[arg(long, global = true, value_enum, default_value_t, hide_possible_values = false)]
    pub(super) output: OutputFormat,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Bring up a small alliance on this machine and show what it does.
    Demo(DemoArguments),
    /// Measure what this machine makes of a node, beside what it allows.
    Bench(BenchArguments),
    /// What `bench` compares a node with: the same TLS and messages, and no work.
    #[command(hide = true)]
    AnswerNothing(NothingArguments),
    /// Run this member's node until it is told to stop.
    Serve(ServeArguments),
    /// Submit signals: sellers who infringed, and what is known of it.
    Submit(Box<SubmitArguments>),
    /// Ask whether a seller is known.
    Check(Box<CheckArguments>),
    /// Withdraw own signals, for every member of their audience.
    Retract(Box<RetractArguments>),
    /// Show one signal, and all that was said of it since.
    Signal(SignalArguments),
    /// Add evidence, actions or an outcome to an own signal.
    Amend(Box<AmendArguments>),
    /// Take an own signal, marker or lead away from every node, for good.
    Erase(EraseArguments),
    /// Show what this member has erased, and which nodes have done it.
    Erasures(ErasuresArguments),
    /// A seller's rebuttal of signals, and what becomes of it.
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// Say what this member thinks of another member's signal.
    Opinion(OpinionArguments),
    /// Take identifiers of a victim out of flagging, or vouch for a seller.
    Mark(Box<MarkArguments>),
    /// Take a marker back.
    Unmark(UnmarkArguments),
    /// This member's own word about sellers, which its node answers whatever the members say.
    #[command(subcommand)]
    Override(OverrideCommand),
    /// Follow alerts: the answers to standing checks that have changed. And make, list and end such watches.
    Watch(WatchArguments),
    /// Show the alerts that nobody has acknowledged, and acknowledge them.
    Alerts(AlertsArguments),
    /// Sellers who belong together, by strong identifiers that they share.
    Ring(Box<RingArguments>),
    /// Rings whose goods are worth a prosecutor's time, and what became of them.
    Leads(Box<LeadsArguments>),
    /// Who did what with the node, and whether anybody changed what was noted of it.
    Audit(Box<AuditArguments>),
    /// The pseudonym keys, and this member's part in them.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show the state of the node.
    Status(StatusArguments),
    /// Have a running node read its configuration and files again.
    Reload(ReloadArguments),
    /// Find out what keeps a node from running as it should, and what to do about it.
    Doctor(DoctorArguments),
    /// Copy a running node's store into a folder.
    Backup(BackupArguments),
    /// Put a store back from a backup, or from what the other members hold.
    Restore(RestoreArguments),
    /// Look after a node's store.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Look at feeds without a node.
    #[command(subcommand)]
    Feed(FeedCommand),
    /// Look at configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The member's side of joining an alliance, and its clients' certificates.
    #[command(subcommand)]
    Member(MemberCommand),
    /// The secretariat's ceremonies: founding, admitting, expelling.
    #[command(subcommand)]
    Alliance(AllianceCommand),
    /// Print what makes a shell complete these commands.
    Completions(CompletionsArguments),
    /// Write the manual pages, one for each command.
    Man(ManArguments),
}

#[derive(Args)]
pub(super) struct ServeArguments {
    /// The node's configuration, or the folder of its node.toml; else COUNTERMARK_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Fetch what is missing of the member's own feeds from those other members that answer: after a lost disk, or with an old store.
    /// After `restore` a node does so by itself, and waits for all members.
    #[arg(long)]
    pub(super) recover_own_feed: bool,
    /// Take signals though no other member was reached since the start. Only where the store is known to be the newest there is:
    /// with an older one the member would sign two histories, and nobody would take its signals any more.
    #[arg(long, conflicts_with = "recover_own_feed")]
    pub(super) trust_own_feed: bool,
}

#[derive(Args)]
pub(super) struct DemoArguments {
    /// Leave the nodes running, and their folders in place, until interrupted.
    #[arg(long)]
    pub(super) keep: bool,
}

const BENCH_HELP: &str = "\
Runs nodes of an alliance of its own in a folder of its own, which is removed afterwards, and takes both from nobody: nothing
that runs here already is touched, but everything else that runs here falsifies the figures. Needs Linux. A million signals take
about half a gibibyte of disk at the node, as much at the node that fetches them and in the measured floor, and a few minutes.

Each figure stands beside its limit, measured in turn with it: `empty` is a server with the same TLS and messages that does
nothing, `sled alone` and `plain file` are given the bytes of the packed entries and forced to disk as often. Compare ratios:
rates differ from hour to hour on a machine that is shared.

JSON: {machine, population: [{of, target, realised}], figures: [{operation, signals, feeds, unit, ours, limit: {of, value, ratio},
goal: {at_least | at_most}, met}]}; ours, value and ratio are {median, low, high}.";

#[derive(Args)]
#[command(after_long_help = BENCH_HELP)]
pub(super) struct BenchArguments {
    /// Under three minutes: a hundred thousand signals, few calls.
    #[arg(long, conflicts_with = "signals")]
    pub(super) quick: bool,
    /// How many signals are stored when it is measured; several sizes show how it grows.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_value = "1M")]
    pub(super) signals: Vec<Count>,
    /// In how many feeds they lie; with more than one they are fetched from a node that relays them.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_value = "1")]
    pub(super) feeds: Vec<u16>,
    /// Instead of all that: hold a node with the first of these sizes at saturation for so many minutes, and see what becomes of its
    /// memory and of checks meanwhile.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_080))]
    pub(super) soak: Option<u64>,
    /// The same number makes up the same sellers.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
    /// Where the nodes keep their stores: a folder on the disk in question. Else the system's temporary folder.
    #[arg(long, value_name = "FOLDER")]
    pub(super) folder: Option<PathBuf>,
    /// Draw how the figures grow, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(super) plot: Option<PathBuf>,
}

/// A number of signals: digits, and `k` or `M` behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl FromStr for Count {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, factor) = match text.strip_suffix('k').map(|digits| (digits, 1_000)) {
            Some(thousands) => thousands,
            None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1_000_000)),
        };
        let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        let number = number.filter(|number| *number > 0);
        number.map(Self).ok_or("give a number above zero, such as 500000, 500k or 10M")
    }
}

#[derive(Args)]
pub(super) struct NothingArguments {
    /// The configuration of the node whose certificates are presented.
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Folder of the answers to give.
    #[arg(long, value_name = "FOLDER")]
    pub(super) answers: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: std::net::SocketAddr,
}

/// How a command reaches the node.
#[derive(Args)]
pub(super) struct NodeArguments {
    /// The client's configuration, or the folder of its client.toml; else COUNTERMARK_CLIENT names it.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

pub(super) const SUBMIT_HELP: &str = "\
Formats:
  csv    a header names the columns. Identifiers: marketplace_account, domain, url, phone, email, bank_account, business_licence,
         tax_id, payment_account, messaging_account, legal_name, postal_address. Beside them: submission_id, audience, region,
         infringement, rights_holder, brand, evidence, actions, platform, seen_region, hs_chapter, nice_class, gtin, amount,
         currency, count, goods_reference, goods_state, observed_on, acted_on, retention_days, derived_from. Several values
         in a cell are separated by `|`.
  jsonl  one object a line, with the same names; identifiers as {\"identifiers\": {\"phone\": [\"...\"]}}.
  lines  one identifier a line, of --kind; hosts files and ad-block lists too.
Flags such as --audience fill what a row leaves empty. Files may be compressed by gzip. `-` is standard input.

A row that is refused never spoils its neighbours. Everything may be submitted again: nothing changes, but that signals are given
pseudonyms under keys that became active since. Nothing is ever retracted by a file that has become shorter.

Exit codes: 0 rows were taken, or there were none; 1 failed, or no row could be taken, or with --strict any row was refused.

JSON: {lines, skipped_lines, rows, created, already_there, already_withdrawn, already_erased, rekeyed, refused,
refused_by_code: {CODE: count}, unanswered}; rows = created + already_there + already_withdrawn + already_erased + refused, and
rekeyed counts those among already_there that were given pseudonyms under new keys. A row whose answer was lost when a stream broke
is sent again, and counts as already there.";

#[derive(Args)]
#[command(after_long_help = SUBMIT_HELP)]
pub(super) struct SubmitArguments {
    /// Files to read, `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) read: ReadArguments,
    #[command(flatten)]
    pub(super) statement: StatementArguments,
    /// Write refused rows here, as CSV: line, code, field, reason. For one input file.
    #[arg(long, value_name = "FILE")]
    pub(super) rejects: Option<PathBuf>,
    /// Exit with 1 where any row is refused.
    #[arg(long)]
    pub(super) strict: bool,
    #[command(flatten)]
    pub(super) node: NodeArguments,
}

const CHECK_HELP: &str = "\
One seller by flags, each of which may be repeated; or many sellers from a file, one a row, in the formats of `submit`;
or an earlier answer by its reference, for 365 days. Flags show in the list of processes and in the shell's history: a file or
standard input does not.

Exit codes: 0 no seller is flagged; 3 at least one is, be it disputed; 1 failed, or a row could not be checked or its answer not
be understood, and no seller is flagged.

JSON of one seller: {reference, checked_at, verdict, reasons, score, members_elsewhere, elsewhere: [signal], own: [signal],
markers: [marker], overrides: [override], matches_omitted, reference_error, watch, watch_error, asked, freshness: {as_of, feeds:
[feed]}}.
JSON of a file, an object a line: {line, verdict, members_elsewhere, own, flagged_by, matches_omitted, reference, reference_error,
watch, watch_error} or {line, error: {code, field, message}}, and at the end {summary: {...}, freshness: {...}}.
verdict is one of none_known, alleged, confirmed, repeat_offender, disputed, known_good; unknown is one that this version does not
know, and is no clean answer.";

#[derive(Args)]
#[command(after_long_help = CHECK_HELP)]
pub(super) struct CheckArguments {
    /// File of sellers, one a row; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) seller: SellerArguments,
    /// Read the answer of an earlier check again.
    #[arg(long, value_name = "REFERENCE")]
    pub(super) reference: Option<String>,
    /// Leave a watch where nobody flags the seller: an alert tells when that changes (`countermark watch`).
    #[arg(long, conflicts_with = "reference")]
    pub(super) watch: bool,
    /// Days that the watch runs, 1 to 3653; by default those of the alliance's policy.
    #[arg(long, value_name = "DAYS", requires = "watch", default_value_t = 0, hide_default_value = true)]
    pub(super) watch_days: u32,
    /// Your own name for the watch, at most 120 characters; in a file a row's submission_id takes its place. It must not name the seller.
    #[arg(long, value_name = "TEXT", requires = "watch", default_value = "", hide_default_value = true)]
    pub(super) watch_label: String,
    #[command(flatten)]
    pub(super) read: ReadArguments,
    /// Show every feed that the answer rests on, not only those that stand out.
    #[arg(long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) node: NodeArguments,
}

const RETRACT_HELP: &str = "\
One signal by its name or by the submission id it was submitted under; or many from a file. With --by identifiers each row
names one seller, and every own live signal that matches by a strong identifier is retracted (this takes the role check too);
with --by submission-id each row gives the id that it was submitted under. The whole file is read before anything is
retracted; an empty file retracts nothing, and so does one that cannot be read to its end. Retracting more than one signal, and
more than `retract_share` of the live signals of this member, takes --yes.

Exit codes: 0 all that the rows name is retracted, or there were none; 1 failed, or a row was refused or a signal could not be
retracted: what the others named is retracted all the same.

JSON: {dry_run, rows, refused_rows, rows_without_signal, rows_partly_listed, matches_omitted, to_retract, own_live_signals,
retracted, already_withdrawn, failed, failed_by_code: {CODE: count}}.";

#[derive(Args)]
#[command(after_long_help = RETRACT_HELP)]
pub(super) struct RetractArguments {
    /// The signal, as member/audience/sequence.
    #[arg(long, value_name = "SIGNAL")]
    pub(super) signal: Option<SignalRef>,
    /// The submission id that the signal was submitted under; takes --audience.
    #[arg(long, value_name = "ID", conflicts_with = "signal", requires = "audience")]
    pub(super) submission_id: Option<String>,
    /// File of what is to be retracted; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["signal", "submission_id"])]
    pub(super) from: Option<PathBuf>,
    /// What the rows of the file give.
    #[arg(long, value_enum, default_value_t, requires = "from")]
    pub(super) by: super::retract::By,
    /// Audience of the signals: `all` or a group. With --by identifiers, only its signals are retracted.
    #[arg(long)]
    pub(super) audience: Option<Audience>,
    /// mistaken_identity, no_infringement, settled, source_withdrew, entry_error or other.
    #[arg(long)]
    pub(super) reason: RetractionReason,
    #[command(flatten)]
    pub(super) read: ReadArguments,
    /// Say what would be retracted, and retract nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Retract even a large share of the live signals.
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) node: NodeArguments,
}

#[derive(Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pub(super) node: NodeArguments,
    /// Look again and again, every so many seconds, until interrupted.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(super) watch: Option<u64>,
}

#[derive(Subcommand)]
pub(super) enum StoreCommand {
    /// Build the index and all else that is derived anew from the feeds.
    Rebuild(StoreRebuildArguments),
    /// Write the files anew without what was erased, now.
    Purge(StorePurgeArguments),
    /// Hold all that is in the store of a node that does not run against what members signed.
    Verify(StoreVerifyArguments),
}

const PURGE_HELP: &str = "\
A node does this by itself within a day of an erasure. It takes as long as copying the store does, and as much room; submissions
wait. Needs the role admin.

JSON: {purged}.";

#[derive(Args)]
#[command(after_help = PURGE_HELP)]
pub(super) struct StorePurgeArguments {
    #[command(flatten)]
    pub(super) node: NodeArguments,
}

const REBUILD_HELP: &str = "\
Asks the node, which needs memory for both indexes meanwhile. Checks are answered from the old index until the new one is whole;
submissions wait. Needs the role admin.

JSON: {unchanged, before: {view_digest, index_rows}, after: {view_digest, index_rows}}.";

#[derive(Args)]
#[command(after_help = REBUILD_HELP)]
pub(super) struct StoreRebuildArguments {
    #[command(flatten)]
    pub(super) node: NodeArguments,
}

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Read a node's configuration and every file it names, and show what will hold.
    Check(ConfigCheckArguments),
}

#[derive(Args)]
pub(super) struct ConfigCheckArguments {
    /// The node's configuration, or the folder of its node.toml; else COUNTERMARK_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(super) enum FeedCommand {
    /// Verify a feed's checkpoint and its entries, or a lead that was exported, offline.
    Verify(FeedVerifyArguments),
}

const VERIFY_HELP: &str = "\
CHECKPOINT is a C2SP tlog-checkpoint (`status --output json` shows those of forks). The key is either that of the feed, as a
C2SP verifier key (name+id+base64), or found in a roster that the secretariat's key verifies. ENTRIES has every entry of the
feed in order, one a line, in base64, or in hexadecimal after `hex:`.

A bundle is what an authority gets of a lead. Each of its entries is verified by its own proof, under the roster in the bundle, which
the secretariat's key verifies: have that key from the alliance by another way than the bundle. What is in it is proven; whether more was
said of a signal since, its member knows.

JSON: {feed, alliance, size, root, key, entries_verified}; of a bundle {lead, alliance, made_by, made_at, stage, members, signals,
missing, entries_verified, cut}.";

#[derive(Args)]
#[command(after_long_help = VERIFY_HELP)]
pub(super) struct FeedVerifyArguments {
    /// File with the signed checkpoint.
    #[arg(long, value_name = "FILE", required_unless_present = "bundle")]
    pub(super) checkpoint: Option<PathBuf>,
    /// File with the feed's verifier key.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["roster", "bundle"], conflicts_with = "roster")]
    pub(super) key: Option<PathBuf>,
    /// File with the roster as signed note.
    #[arg(long, value_name = "FILE", requires = "secretariat_key")]
    pub(super) roster: Option<PathBuf>,
    /// File with the secretariat's key in base64, such as roster.pub of a member's folder.
    #[arg(long, value_name = "FILE")]
    pub(super) secretariat_key: Option<PathBuf>,
    /// File with the entries.
    #[arg(long, value_name = "FILE")]
    pub(super) entries: Option<PathBuf>,
    /// A lead that `leads export` wrote, in place of a checkpoint.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["checkpoint", "key", "roster", "entries"], requires = "secretariat_key")]
    pub(super) bundle: Option<PathBuf>,
}

/// How two people make sure that a file arrived as it was sent.
#[derive(Args)]
pub(super) struct ComparedArguments {
    /// The fingerprint as the other side gave it by another way.
    #[arg(long, value_name = "HEX")]
    pub(super) fingerprint: Option<String>,
    /// The fingerprint has been compared already.
    #[arg(long, conflicts_with = "fingerprint")]
    pub(super) yes: bool,
}

#[derive(Subcommand)]
pub(super) enum AllianceCommand {
    /// Found an alliance: its CA, the key that signs rosters, the first pseudonym key and roster.
    Init(InitArguments),
    /// Admit the member that sent a join request, or renew its certificate.
    Admit(AdmitArguments),
    /// Expel a member: its connections are refused and its signals count no more.
    Expel(ExpelArguments),
    /// Revoke the certificates of a member's node, or renew the list of what was revoked.
    Revoke(AllianceRevokeArguments),
    /// Set who belongs to a group of members that share with each other only.
    Group(GroupArguments),
    /// Show what holds for all members, or have something else hold.
    Policy(PolicyArguments),
    /// Pseudonym keys: have one made by its holders, take it into use, change who holds it, destroy it.
    #[command(subcommand)]
    Key(AllianceKeyCommand),
    /// Show the roster.
    Roster(RosterArguments),
}

#[derive(Args)]
pub(super) struct InitArguments {
    /// The alliance's DNS name, such as alliance.example.
    #[arg(long)]
    pub(super) name: AllianceName,
    /// A new folder for the secretariat's secrets.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// For a first day: a member with all its secrets in DIR/members/ID, as id:kind:host:port with kind brand, platform or
    /// authority. Clients are served at the next port. Real members ask and are admitted.
    #[arg(long = "member", value_name = "MEMBER")]
    pub(super) members: Vec<FirstMember>,
    /// How pseudonyms are made. With toprf-ristretto255 nobody has the key: the first five members are to make it among them, as soon as
    /// their nodes run. With hmac-sha256 every member has all of it, and whoever steals one file can name every seller.
    #[arg(long, value_name = "SCHEME", default_value_t = Scheme::ToprfRistretto255)]
    pub(super) scheme: Scheme,
}

#[derive(Args)]
pub(super) struct AdmitArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The join request.
    #[arg(value_name = "REQUEST")]
    pub(super) request: PathBuf,
    /// Group that the member joins; made where there is none of that name.
    #[arg(long = "group", value_name = "GROUP")]
    pub(super) groups: Vec<GroupName>,
    /// Where to write the admission.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Take back a member that was expelled.
    #[arg(long)]
    pub(super) readmit: bool,
    #[command(flatten)]
    pub(super) compared: ComparedArguments,
}

#[derive(Args)]
pub(super) struct ExpelArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Whom.
    #[arg(value_name = "MEMBER")]
    pub(super) member: MemberId,
    /// Also revoke the member's certificates, in DIR/crl.pem. Nodes refuse it by the roster alone.
    #[arg(long)]
    pub(super) crl: bool,
}

const ALLIANCE_REVOKE_HELP: &str = "\
For a node whose key was stolen: all certificates that its member was issued until now are refused by
every node that names the list. The member stays; `member renew` and `alliance admit` give its node
another certificate. A member that is to go is expelled.

JSON: {member, revoked, list, renew_before}; revoked counts the member's certificates.";

#[derive(Args)]
#[command(after_help = ALLIANCE_REVOKE_HELP)]
pub(super) struct AllianceRevokeArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The member; without one the list is signed anew, which it wants within 35 days.
    #[arg(value_name = "MEMBER")]
    pub(super) member: Option<MemberId>,
}

#[derive(Args)]
pub(super) struct GroupArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The group.
    #[arg(value_name = "GROUP")]
    pub(super) name: GroupName,
    /// All its members; whoever is left out belongs to it no more.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(super) members: Vec<MemberId>,
}

const POLICY_HELP: &str = "\
Prints the policy as TOML, or as JSON. With --from, a file in the same form takes its place in the next roster, which then spreads
as every new roster does; what the file leaves out is the default. config/policy.toml of the source explains every key.";

#[derive(Args)]
#[command(after_long_help = POLICY_HELP)]
pub(super) struct PolicyArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The policy that is to hold, as TOML.
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct RosterArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
}

const REVOKE_HELP: &str = "\
All certificates that were made for the client until now are refused from the node's next reload on,
and its connections end. Its roles stay: `member client NAME --renew` makes it another certificate.
The list is client-crl.pem in the folder; node.toml names it from the first time on.

JSON: {client, revoked, list, renew_before, named}; revoked counts the client's certificates, named
says whether node.toml names the list.";

#[derive(Subcommand)]
pub(super) enum MemberCommand {
    /// Make a member's secrets, and the request to be admitted.
    Request(RequestArguments),
    /// Take in the secretariat's answer; afterwards the node can start.
    Accept(AcceptArguments),
    /// Make a certificate for a client: a program or person of this member.
    Client(ClientArguments),
    /// Revoke the certificates of a client, or renew the list of what was revoked.
    Revoke(RevokeArguments),
    /// Ask for a new certificate of the node.
    Renew(RenewArguments),
}

#[derive(Args)]
pub(super) struct RequestArguments {
    /// The alliance to join, such as alliance.example.
    #[arg(long)]
    pub(super) alliance: AllianceName,
    /// The id asked for: 1 to 40 characters of a-z, 0-9 and -.
    #[arg(long)]
    pub(super) id: MemberId,
    /// brand, platform or authority.
    #[arg(long)]
    pub(super) kind: MemberKind,
    /// The member's name for people.
    #[arg(long)]
    pub(super) name: String,
    /// host:port at which the other nodes reach this one.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) address: String,
    /// A new folder for the member's secrets.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Where to write the request, which holds no secret.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

#[derive(Args)]
pub(super) struct AcceptArguments {
    /// The member's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The admission.
    #[arg(value_name = "ADMISSION")]
    pub(super) admission: PathBuf,
    #[command(flatten)]
    pub(super) compared: ComparedArguments,
}

#[derive(Args)]
pub(super) struct ClientArguments {
    /// The member's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The client's name: 1 to 40 characters of a-z, 0-9 and -.
    #[arg(value_name = "NAME")]
    pub(super) name: ClientName,
    /// What it may do: submit, check, cases or admin. May be repeated.
    #[arg(long = "role", value_name = "ROLE", required_unless_present = "renew")]
    pub(super) roles: Vec<Role>,
    /// Make another key and certificate in the place of those that the client has; what node.toml and its client.toml say stays. The one
    /// before is good until it ends, or is revoked.
    #[arg(long)]
    pub(super) renew: bool,
    /// Where the client dials the node, where it is not the address that the node listens at.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "renew")]
    pub(super) address: Option<crate::config::Address>,
}

#[derive(Args)]
#[command(after_help = REVOKE_HELP)]
pub(super) struct RevokeArguments {
    /// The member's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The client; without one the list is signed anew, which it wants within 35 days.
    #[arg(value_name = "NAME")]
    pub(super) name: Option<ClientName>,
}

#[derive(Args)]
pub(super) struct RenewArguments {
    /// The member's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Where to write the request.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// A new host:port at which the other nodes reach this one.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) address: Option<String>,
}
