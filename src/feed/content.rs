//! Recognises that two signals say the same.
//!
//! What a submission says is its seller and its statement; salt, time and submission tag are not part of it, and neither is
//! the order in which identifiers, evidence and actions were given. The digest is no signature and authenticates nothing.

use super::Hash;
use super::transcript::Transcript;
use crate::domain::{Evidence, KeyId, SignalContent, Statement};

const PURPOSE: &str = "countermark/content/v1";

/// A digest over all that `content` says, as seen under one of its keys: SHA-256 over the id of `key`, the identifiers (kind
/// and pseudonym under that key) and the statement. Equal for contents that differ in order only, and whatever other keys
/// there are beside it; `None` where the content has no pseudonyms under this key.
#[must_use]
pub fn content_digest(content: &SignalContent, key: &KeyId) -> Option<Hash> {
    content.pseudonyms.iter().any(|set| set.key == *key).then(|| digest_under(content, &[key]))
}

/// Whether two contents say the same, as far as can be told: they are compared under the keys that both have pseudonyms for.
/// Without such a key they count as different.
#[must_use]
pub fn same_content(a: &SignalContent, b: &SignalContent) -> bool {
    let shared = shared_keys(a, b);
    !shared.is_empty() && digest_under(a, &shared) == digest_under(b, &shared)
}

/// Whether [`same_content`] can tell anything.
#[must_use]
pub fn are_comparable(a: &SignalContent, b: &SignalContent) -> bool {
    !shared_keys(a, b).is_empty()
}

fn shared_keys<'a>(a: &'a SignalContent, b: &SignalContent) -> Vec<&'a KeyId> {
    let of_b = keys(b);
    keys(a).into_iter().filter(|key| of_b.contains(key)).collect()
}

/// The keys in the order of their ids, which does not depend on the order of the roster.
fn keys(content: &SignalContent) -> Vec<&KeyId> {
    let mut keys: Vec<&KeyId> = content.pseudonyms.iter().map(|set| &set.key).collect();
    keys.sort_unstable();
    keys
}

fn digest_under(content: &SignalContent, keys: &[&KeyId]) -> Hash {
    let mut transcript = Transcript::of(PURPOSE);
    transcript.number(keys.len() as u64);
    keys.iter().for_each(|key| transcript.bytes(key.as_str().as_bytes()));
    transcript.unordered(identifiers(content, keys));
    write_statement(&mut transcript, &content.statement);
    transcript.finish()
}

/// Each identifier as its kind and its pseudonyms in the order of `keys`: a fixed length for a given number of keys.
fn identifiers(content: &SignalContent, keys: &[&KeyId]) -> Vec<Vec<u8>> {
    let set_of = |key: &&KeyId| content.pseudonyms.iter().find(|set| &set.key == *key);
    let sets: Vec<_> = keys.iter().filter_map(set_of).collect();
    let identifier = |(i, kind): (usize, &crate::domain::IdentifierKind)| {
        let mut item = kind.number().to_be_bytes().to_vec();
        sets.iter().filter_map(|set| set.pseudonyms.get(i)).for_each(|pseudonym| item.extend(pseudonym.0));
        item
    };
    content.kinds.iter().enumerate().map(identifier).collect()
}

fn write_statement(transcript: &mut Transcript, statement: &Statement) {
    let text = |t: &mut Transcript, text: &str| t.bytes(text.as_bytes());
    transcript.word(statement.infringement.number());
    transcript.optional(statement.rights_holder.as_deref(), text);
    transcript.optional(statement.brand.as_deref(), text);
    transcript.unordered(statement.evidence.iter().map(evidence).collect());
    transcript.unordered(statement.actions.iter().map(|action| action.number().to_be_bytes().to_vec()).collect());
    transcript.optional(statement.sighting.as_ref(), |t, sighting| {
        t.optional(sighting.platform.as_ref(), |t, platform| t.bytes(platform.as_str().as_bytes()));
        t.optional(sighting.region.as_ref(), |t, region| t.bytes(region.as_str().as_bytes()));
    });
    transcript.optional(statement.product.as_ref(), |t, product| {
        t.optional(product.class, write_class);
        t.optional(product.gtin.as_ref(), |t, gtin| t.bytes(gtin.as_str().as_bytes()));
    });
    transcript.optional(statement.goods_value.as_ref(), |t, value| {
        t.optional(value.amount, |t, (amount, currency)| {
            t.number(amount.unsigned_abs());
            t.bytes(currency.code().as_bytes());
        });
        t.optional(value.count, Transcript::number);
    });
    transcript.optional(statement.observed_on, |t, day| t.bytes(day.to_string().as_bytes()));
    transcript.optional(statement.acted_on, |t, day| t.bytes(day.to_string().as_bytes()));
    transcript.optional(statement.retention_days, |t, days| t.number(days.into()));
    // What later versions added stands under its name and only where it is stated, so that what was said before it keeps its digest.
    let goods = statement.goods_value.as_ref();
    if let Some(reference) = goods.and_then(|value| value.reference.as_deref()) {
        transcript.bytes(b"goods_value.reference");
        transcript.bytes(reference.as_bytes());
    }
    if let Some(state) = goods.and_then(|value| value.state) {
        transcript.bytes(b"goods_value.state");
        transcript.word(state.number());
    }
    if !statement.derived_from.is_empty() {
        transcript.unordered(statement.derived_from.iter().map(|signal| signal.to_string().into_bytes()).collect());
    }
}

/// Kind, grade and digests in order: a fixed length for a given number of digests.
fn evidence(evidence: &Evidence) -> Vec<u8> {
    let mut digests: Vec<&[u8; 32]> = evidence.digests.iter().map(|digest| &digest.0).collect();
    digests.sort_unstable();
    let mut item = evidence.kind.number().to_be_bytes().to_vec();
    item.extend(evidence.grade.number().to_be_bytes());
    digests.iter().for_each(|digest| item.extend(*digest));
    item
}

fn write_class(transcript: &mut Transcript, class: crate::domain::ProductClass) {
    let (classification, number) = match class {
        crate::domain::ProductClass::HsChapter(chapter) => (1, chapter),
        crate::domain::ProductClass::Nice(class) => (2, class),
    };
    transcript.number(classification);
    transcript.number(number.into());
}

#[cfg(test)]
mod tests;
