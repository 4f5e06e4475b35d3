//! `key`: the pseudonym keys, and this member's part in them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Environment;
use super::arguments::NodeArguments;
use super::connection::{Node, page_size};
use super::evidence::{self, KeyEvidenceArguments};
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, plain, table};
use super::words;
use crate::alliance::folder::{Access, write_new};
use crate::domain::{KeyClass, KeyId, Timestamp};
use crate::rpc::proto::key_service_client::KeyServiceClient;
use crate::rpc::proto::{KeyDetail, KeyUsage, ListKeysRequest, ListUsageRequest, OwnShare, RefreshKeyRequest, ShareState};

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Show the keys, who holds them, and how this member's share stands.
    Status(KeyStatusArguments),
    /// Write what came of the ceremony that made a key, for the secretariat.
    Result(KeyResultArguments),
    /// Have the holders make the shares of a key anew, now.
    Refresh(KeyRefreshArguments),
    /// Show what members used of the keys that this one holds shares of.
    Usage(KeyUsageArguments),
    /// Verify, offline, that a key holder signed a wrong answer.
    Evidence(KeyEvidenceArguments),
}

const STATUS_HELP: &str = "\
Shares are made, made anew every month and repaired by the holders' nodes themselves. `making` waits for the members that are named;
`made` waits for the secretariat, see `key result`; `failed` is begun anew within the hour.

While one key takes another one's place, the signals are those of this member that are found under the new one; the rest is to be submitted
again. Markers, overrides and watches that are not found under it are counted, too: make them again and take the old ones back. What
is left of these at any member does nothing any more once the old key is destroyed, and nobody is told.

JSON: an array of {key, scheme, state, threshold, holders, made, own_signals, own_live_signals, markers_without,
overrides_without, watches_without, share: {place, held, generation, since, state, waiting_for, failure_code, failure, culprit}};
null where there is none.";

#[derive(Args)]
#[command(after_help = STATUS_HELP)]
pub(super) struct KeyStatusArguments {
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Args)]
pub(super) struct KeyResultArguments {
    /// The key.
    #[arg(value_name = "KEY")]
    key: KeyId,
    /// A new file to write it to. It is no secret: all holders have signed it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    node: NodeArguments,
}

const REFRESH_HELP: &str = "\
Where shares may have been stolen: old ones fit no new ones, and pseudonyms stay. Holders whose shares are a day old join by themselves;
within a day each holder's operator asks for it. Needs the role admin.";

#[derive(Args)]
#[command(after_help = REFRESH_HELP)]
pub(super) struct KeyRefreshArguments {
    /// The key.
    #[arg(value_name = "KEY")]
    key: KeyId,
    #[command(flatten)]
    node: NodeArguments,
}

const USAGE_HELP: &str = "\
Counted by this node before it computed anything, and kept for 400 days of use. A batch is filled up to 8, 32, 128, 512 or 1,024. Needs
the role admin.

JSON: a line each of {day, key, class, member, evaluations, requests}.";

#[derive(Args)]
#[command(after_help = USAGE_HELP)]
pub(super) struct KeyUsageArguments {
    /// The first day, as 2026-11-22.
    #[arg(long, value_name = "DAY")]
    from: Option<jiff::civil::Date>,
    #[command(flatten)]
    node: NodeArguments,
}

pub(super) async fn run(command: KeyCommand, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let client = async |arguments: &NodeArguments| {
        let node = Node::reach(arguments.config.as_deref(), environment).await?;
        Ok::<_, Failure>(KeyServiceClient::new(node.channel))
    };
    match command {
        KeyCommand::Status(arguments) => {
            let keys = client(&arguments.node).await?.list_keys(ListKeysRequest {}).await?.into_inner().keys;
            printer.show(&Keys(keys.into_iter().map(Key::of).collect()))?;
        }
        KeyCommand::Result(arguments) => {
            let keys = client(&arguments.node).await?.list_keys(ListKeysRequest {}).await?.into_inner().keys;
            let note = result(&arguments.key, keys)?;
            write_new(&arguments.out, &note, Access::Public)?;
            printer.note(format_args!(
                "Send {} to the secretariat; any way will do. There: `countermark alliance key adopt --folder DIR {}`.",
                arguments.out.display(),
                arguments.out.display()
            ));
        }
        KeyCommand::Refresh(arguments) => {
            let request = RefreshKeyRequest { key: arguments.key.to_string() };
            client(&arguments.node).await?.refresh_key(request).await?;
            printer.note("This holder makes its share anew with the others; see `countermark key status`.");
        }
        KeyCommand::Evidence(arguments) => return evidence::verify(&arguments, printer),
        KeyCommand::Usage(arguments) => {
            let mut client = client(&arguments.node).await?;
            let mut from_day = arguments.from.map_or(0, day_number);
            printer.heading(USAGE_HEAD)?;
            loop {
                let request = ListUsageRequest { from_day, page_size: page_size() };
                let page = client.list_usage(request).await?.into_inner();
                for usage in page.usage {
                    printer.record(&Used::of(usage))?;
                }
                if page.next_day == 0 {
                    break;
                }
                from_day = page.next_day;
            }
        }
    }
    Ok(Outcome::Done)
}

/// The note of a key that was made.
fn result(key: &KeyId, keys: Vec<KeyDetail>) -> Result<String, Failure> {
    let named = |detail: &KeyDetail| detail.key.as_ref().is_some_and(|named| named.id == key.as_str());
    let Some(detail) = keys.into_iter().find(named) else {
        let failure = Failure::new("KEY_UNKNOWN", format!("the roster of this node has no key {key}"));
        return Err(failure.advise("see `countermark key status`"));
    };
    let note = detail.own.map(|own| own.note).filter(|note| !note.is_empty());
    let note = note.ok_or_else(|| {
        let failure =
            Failure::new("KEY_NOT_MADE", format!("the holders have not made key {key}, or this member is none of them"));
        failure.advise("wait until `countermark key status` at a holder's node shows that it is made")
    })?;
    Ok(String::from_utf8_lossy(&note).into_owned())
}

fn day_number(day: jiff::civil::Date) -> u32 {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    day.since(epoch).ok().and_then(|span| u32::try_from(span.get_days()).ok()).unwrap_or(0)
}

/// The keys as they are printed. Their JSON fields are part of the interface.
#[derive(Serialize)]
#[serde(transparent)]
struct Keys(Vec<Key>);

#[derive(Serialize)]
struct Key {
    key: String,
    scheme: String,
    state: String,
    /// `None` where all members hold it, as for the next two.
    threshold: Option<u32>,
    holders: Option<Vec<String>>,
    made: Option<bool>,
    own_signals: u64,
    own_live_signals: u64,
    /// Of this member, without pseudonyms under the key.
    markers_without: u64,
    overrides_without: u64,
    watches_without: u64,
    share: Option<Share>,
}

#[derive(Serialize)]
struct Share {
    place: u32,
    held: bool,
    generation: u32,
    since: Option<String>,
    state: &'static str,
    waiting_for: Vec<String>,
    failure_code: String,
    failure: String,
    culprit: String,
}

impl Key {
    fn of(detail: KeyDetail) -> Self {
        let KeyDetail { key, sharing, own, own_signals, own_live_signals, .. } = detail;
        let KeyDetail { markers_without, overrides_without, watches_without, .. } = detail;
        let key = key.unwrap_or_default();
        Self {
            key: key.id,
            scheme: key.scheme,
            state: key.state,
            threshold: sharing.as_ref().map(|sharing| sharing.threshold),
            made: sharing.as_ref().map(|sharing| sharing.made),
            holders: sharing.map(|sharing| sharing.holders.into_iter().map(|holder| holder.member).collect()),
            own_signals,
            own_live_signals,
            markers_without,
            overrides_without,
            watches_without,
            share: own.map(Share::of),
        }
    }

    fn held_by(&self) -> String {
        match (self.threshold, &self.holders) {
            (Some(threshold), Some(holders)) => format!("{threshold} of {}: {}", holders.len(), holders.join(", ")),
            _ => "every member has it".to_owned(),
        }
    }

    /// `2 of 3, without 1 marker, 2 watches`.
    fn taken_over(&self) -> String {
        if self.state != "active" {
            return "-".to_owned();
        }
        let kept = [
            (self.markers_without, "marker", "markers"),
            (self.overrides_without, "override", "overrides"),
            (self.watches_without, "watch", "watches"),
        ];
        let left: Vec<String> = kept
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
            .collect();
        let signals = format!("{} of {}", self.own_signals, self.own_live_signals);
        if left.is_empty() { signals } else { format!("{signals}, without {}", left.join(", ")) }
    }
}

impl Share {
    fn of(own: OwnShare) -> Self {
        let state = match own.state() {
            ShareState::Held => "held",
            ShareState::Made => "made",
            ShareState::Making => "making",
            ShareState::Repairing => "repairing",
            ShareState::Failed => "failed",
            ShareState::Unspecified => "unknown",
        };
        let OwnShare { place, held, generation, since_ms, waiting_for, failure_code, failure, culprit, .. } = own;
        Self { place, held, generation, since: words::instant(since_ms), state, waiting_for, failure_code, failure, culprit }
    }

    /// `held, generation 3 since 2026-11-22T00:00:00Z`.
    fn line(&self) -> String {
        let shares = match &self.since {
            Some(since) if self.held => format!("generation {} since {since}", self.generation),
            _ => "no share".to_owned(),
        };
        let waiting =
            if self.waiting_for.is_empty() { String::new() } else { format!("; waits for {}", self.waiting_for.join(", ")) };
        let failure =
            if self.failure.is_empty() { String::new() } else { format!("; {}: {}", self.failure_code, self.failure) };
        format!("{}, {shares}{waiting}{failure}", self.state)
    }
}

impl Show for Keys {
    fn table(&self) -> String {
        let rows = self.0.iter().map(|key| {
            let share = key.share.as_ref().map_or_else(|| "-".to_owned(), Share::line);
            vec![key.key.clone(), key.scheme.clone(), key.state.clone(), key.taken_over(), key.held_by(), share]
        });
        table(&["key", "scheme", "state", "own signals", "holders", "this member's share"], rows)
    }
}

const USAGE_HEAD: &str = "DAY         KEY       CLASS        MEMBER            EVALUATIONS  REQUESTS\n";

/// What a member used on a day. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Used {
    day: String,
    key: String,
    class: String,
    member: String,
    evaluations: u64,
    requests: u64,
}

impl Used {
    fn of(usage: KeyUsage) -> Self {
        let class = KeyClass::from_number(usage.key_class).map_or("unknown", KeyClass::as_str);
        let KeyUsage { day, key, member, evaluations, requests, .. } = usage;
        let day = Timestamp::from_unix_day(day).date().to_string();
        Self { day, key, class: class.to_owned(), member, evaluations, requests }
    }
}

impl Show for Used {
    fn table(&self) -> String {
        let Self { day, key, class, member, evaluations, requests } = self;
        plain(&format!("{day}  {key:<8}  {class:<11}  {member:<16}  {evaluations:>11}  {requests:>8}")) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto;

    fn shown(detail: KeyDetail) -> Keys {
        let key = proto::KeyStatus { id: "k2".into(), scheme: "hmac-sha256".into(), state: "active".into() };
        Keys(vec![Key::of(KeyDetail { key: Some(key), own_signals: 2, own_live_signals: 3, ..detail })])
    }

    #[test]
    fn what_was_used_stands_below_its_heading() {
        let class = KeyClass::LowEntropy.number();
        let usage =
            KeyUsage { day: 20_000, key: "k1".into(), key_class: class, member: "acme".into(), evaluations: 16, requests: 2 };
        assert_eq!(
            USAGE_HEAD.to_owned() + &Used::of(usage).table(),
            "DAY         KEY       CLASS        MEMBER            EVALUATIONS  REQUESTS\n\
             2024-10-04  k1        low_entropy  acme                       16         2\n"
        );
    }

    #[test]
    fn what_is_to_be_made_again_is_shown() {
        let left = shown(KeyDetail { markers_without: 1, watches_without: 2, ..KeyDetail::default() });
        assert!(left.table().contains("2 of 3, without 1 marker, 2 watches"), "{}", left.table());
        assert!(!shown(KeyDetail::default()).table().contains("without"));
        assert_eq!(
            serde_json::to_string(&left).expect("JSON"),
            concat!(
                r#"[{"key":"k2","scheme":"hmac-sha256","state":"active","threshold":null,"holders":null,"made":null,"#,
                r#""own_signals":2,"own_live_signals":3,"markers_without":1,"overrides_without":0,"watches_without":2,"#,
                r#""share":null}]"#
            )
        );
    }
}
