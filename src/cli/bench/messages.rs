//! What is sent: finds and questions of a made-up population, as a member's own systems would write them.

use crate::domain::{self, Action, EvidenceKind, Infringement};
use crate::population::{Find, Question};
use crate::rpc::proto;

/// The day on which everything was observed.
const OBSERVED_ON: &str = "2026-03-01";

/// The find as a row of a submission.
pub(super) fn submission(find: &Find) -> proto::Submission {
    proto::Submission {
        submission_id: format!("case-{}", find.number),
        audience: "all".to_owned(),
        identifiers: find.store.known().map(identifier).collect(),
        statement: Some(statement(find)),
    }
}

/// About 250 bytes as an entry: a brand, one piece of evidence, what was done, where it was seen, what the goods are worth.
pub(super) fn statement(find: &Find) -> proto::Statement {
    let kind = EvidenceKind::ALL[find.percentile as usize % EvidenceKind::ALL.len()];
    let action = Action::ALL[find.percentile as usize % 4];
    let digest: Vec<u8> = find.number.to_be_bytes().repeat(4);
    proto::Statement {
        infringement: Infringement::TrademarkCounterfeit.number(),
        brand: format!("Brand {}", find.brand),
        evidence: vec![proto::Evidence { kind: kind.number(), grade: 0, sha256: vec![digest.into()] }],
        actions: vec![action.number()],
        sighting: Some(proto::Sighting { platform: "taobao".to_owned(), region: find.store.region.to_owned() }),
        goods_value: Some(proto::GoodsValue {
            amount_minor: i64::from(find.percentile + 1) * 1_000,
            currency: "CNY".to_owned(),
            count: u64::from(find.percentile + 1),
            ..proto::GoodsValue::default()
        }),
        observed_on: OBSERVED_ON.to_owned(),
        ..proto::Statement::default()
    }
}

/// What is asked about the store of a question.
pub(super) fn identifiers(question: &Question) -> Vec<proto::Identifier> {
    question.store.asked().map(identifier).collect()
}

fn identifier(identifier: &domain::Identifier) -> proto::Identifier {
    proto::Identifier { kind: identifier.kind.number(), value: identifier.value.clone(), region: identifier.region.clone() }
}
