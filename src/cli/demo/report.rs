//! What the demonstration tells.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::members::Learned;
use crate::alliance::folder::MemberFolder;
use crate::cli::Environment;
use crate::cli::output::{Show, counted, table};

/// JSON: {alliance, stores, submitted_ms, shared_ms, members: [{member, sellers, flagged_elsewhere, confirmed, by: {member:
/// sellers}, client_config}]}.
#[derive(Serialize)]
pub(super) struct Report {
    alliance: &'static str,
    stores: usize,
    submitted_ms: u64,
    shared_ms: u64,
    members: Vec<MemberReport>,
    #[serde(skip)]
    example: Option<(&'static str, String)>,
}

#[derive(Serialize)]
struct MemberReport {
    member: &'static str,
    sellers: usize,
    flagged_elsewhere: usize,
    confirmed: usize,
    by: std::collections::BTreeMap<String, usize>,
    client_config: String,
    folder: String,
}

impl Report {
    pub(super) fn new(
        alliance: &'static str,
        stores: usize,
        submitted: Duration,
        shared: Duration,
        learned: Vec<Learned>,
        homes: &[MemberFolder],
    ) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let example = learned.iter().find_map(|l| l.example.clone());
        let member = |(learned, home): (Learned, &MemberFolder)| MemberReport {
            member: learned.member,
            sellers: learned.sellers,
            flagged_elsewhere: learned.elsewhere,
            confirmed: learned.confirmed,
            by: learned.by,
            client_config: learned.config.display().to_string(),
            folder: home.path().display().to_string(),
        };
        let members = learned.into_iter().zip(homes).map(member).collect();
        Self { alliance, stores, submitted_ms: ms(submitted), shared_ms: ms(shared), members, example }
    }

    /// Commands that work on the nodes as long as they run. `folder` has the sample files.
    pub(super) fn by_hand(&self, folder: &Path, environment: &Environment) -> String {
        let Some(first) = self.members.first() else { return String::new() };
        let (kind, value) = self.example.clone().unwrap_or(("domain", "outlet-0001.test".to_owned()));
        let flag = kind.replace('_', "-");
        let program = environment.program.as_deref().unwrap_or(Path::new("countermark"));
        let others: Vec<String> = self.members.iter().skip(1).map(|other| format!("  {}\n", other.client_config)).collect();
        format!(
            "\nTry it in another terminal, as {}:\n\n  cd {}\n  alias countermark={}\n  export COUNTERMARK_CLIENT={}\n\n  \
             countermark check --{flag} '{value}'\n  \
             countermark submit sellers.csv --rejects rejects.csv\n  \
             countermark retract --submission-id case-1 --audience all --reason mistaken-identity\n  \
             countermark status\n\n\
             The other members' clients, for COUNTERMARK_CLIENT or --config:\n\n{}",
            first.member,
            folder.display(),
            program.display(),
            first.client_config,
            others.concat()
        )
    }
}

impl Show for Report {
    fn table(&self) -> String {
        let by = |member: &MemberReport| {
            let by: Vec<String> = member.by.iter().map(|(other, sellers)| format!("{other} {sellers}")).collect();
            by.join(", ")
        };
        let rows = self.members.iter().map(|member| {
            vec![
                member.member.to_owned(),
                member.sellers.to_string(),
                member.flagged_elsewhere.to_string(),
                member.confirmed.to_string(),
                by(member),
            ]
        });
        let stores = counted(u64::try_from(self.stores).unwrap_or(u64::MAX), "made-up store");
        format!(
            "Three members of the alliance {}, each with its own node and store, made a key that any two of them can use and\n\
             none of them has. They handed in signals about {stores} in {} ms; after {} ms every node knew every\n\
             signal. What each learned from the others:\n\n{}",
            self.alliance,
            self.submitted_ms,
            self.shared_ms,
            table(&["member", "own sellers", "flagged elsewhere", "confirmed", "by"], rows)
        )
    }
}
