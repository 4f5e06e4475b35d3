//! What the holders of a shared key say of its shares after a ceremony: one note that all of them signed.
//!
//! Nobody but they could tell whether it is true, and it is believed because all of them say it: of the holders fewer than the
//! threshold lie, or the key is lost anyway.

use std::collections::BTreeSet;
use std::str::FromStr;

use bytes::Bytes;

use super::note::{claimed_signers, decimal, join_notes, open_note, sign_note};
use super::{NoteError, SigningKey};
use crate::domain::limits::{MAX_KEY_HOLDERS, MAX_SHARING_BYTES, MIN_THRESHOLD};
use crate::domain::{
    AllianceName, FeedKey, GroupElement, HolderIndex, KeyClass, KeyHolder, MemberId, SharedClass, SharedGeneration,
};

/// First line, so that nothing else can be passed off as one.
const PURPOSE: &str = "countermark shared key v1";

/// What is signed: a line each for the purpose, the alliance, the key with generation and threshold, the holders as
/// `member:place` in the order of their places, and for each class its name and its polynomial in base64.
fn sharing_text(alliance: &AllianceName, sharing: &SharedGeneration) -> String {
    let SharedGeneration { key, generation, threshold, holders, classes } = sharing;
    let holders: Vec<String> = holders.iter().map(|holder| format!("{}:{}", holder.member, holder.index)).collect();
    let mut text = format!("{PURPOSE}\n{alliance}\n{key} {generation} {threshold}\n{}\n", holders.join(" "));
    for SharedClass { class, polynomial } in classes {
        text.push_str(class.as_str());
        for coefficient in polynomial {
            text.push(' ');
            text.push_str(&String::from(*coefficient));
        }
        text.push('\n');
    }
    text
}

fn key_name(alliance: &AllianceName, holder: &MemberId) -> String {
    format!("{alliance}/{holder}")
}

/// The note of one holder.
#[must_use]
pub fn sign_sharing(alliance: &AllianceName, sharing: &SharedGeneration, holder: &MemberId, key: &SigningKey) -> Bytes {
    sign_note(&sharing_text(alliance, sharing), &key_name(alliance, holder), key)
}

/// Whether one holder signed just this; false where it signed something else.
///
/// # Errors
/// [`NoteError`] where it signed nothing; [`NoteError::TooManySignatures`] where any line stands beside its own, which would spoil the
/// note that all sign.
pub fn verify_sharing(
    alliance: &AllianceName,
    sharing: &SharedGeneration,
    holder: &MemberId,
    key: &FeedKey,
    note: &[u8],
) -> Result<bool, NoteError> {
    if note.len() > MAX_SHARING_BYTES {
        return Err(NoteError::Malformed);
    }
    let name = key_name(alliance, holder);
    let text = open_note(note, &name, key)?;
    if claimed_signers(note)? != [&name] {
        return Err(NoteError::TooManySignatures);
    }
    Ok(text == sharing_text(alliance, sharing))
}

/// The note that all holders signed, of the notes that each signed alone; `None` where these do not say the same.
#[must_use]
pub fn join_sharing<'n>(notes: impl IntoIterator<Item = &'n [u8]>) -> Option<Bytes> {
    join_notes(notes)
}

/// What a note says that all holders of whom it speaks have signed, each with the key that `feed_key` knows of it.
///
/// # Errors
/// [`NoteError`]; [`NoteError::NotSigned`] also where one of them has not signed, or somebody else has.
pub fn open_sharing(
    note: &[u8],
    alliance: &AllianceName,
    feed_key: impl Fn(&MemberId) -> Option<FeedKey>,
) -> Result<SharedGeneration, NoteError> {
    if note.len() > MAX_SHARING_BYTES {
        return Err(NoteError::Malformed);
    }
    let mut signed: BTreeSet<MemberId> = BTreeSet::new();
    let mut said = None;
    for name in claimed_signers(note)? {
        let member = name.strip_prefix(alliance.as_str()).and_then(|rest| rest.strip_prefix('/')?.parse().ok());
        let member: MemberId = member.ok_or(NoteError::NotSigned)?;
        let key = feed_key(&member).ok_or(NoteError::NotSigned)?;
        said = Some(open_note(note, name, &key)?);
        signed.insert(member);
    }
    let text = said.ok_or(NoteError::NotSigned)?;
    let sharing = parse(text).ok_or(NoteError::Malformed)?;
    // A text has one reading: what is read writes it again.
    if sharing_text(alliance, &sharing) != text || !is_sound(&sharing) {
        return Err(NoteError::Malformed);
    }
    let holders = sharing.holders.iter().map(|holder| holder.member.clone()).collect::<BTreeSet<_>>();
    if holders == signed { Ok(sharing) } else { Err(NoteError::NotSigned) }
}

fn parse(text: &str) -> Option<SharedGeneration> {
    let mut lines = text.lines().skip(2);
    let mut words = lines.next()?.split(' ');
    let key = words.next()?.parse().ok()?;
    let (generation, threshold) = (decimal(words.next()?)?, decimal(words.next()?)?);
    let holder = |word: &str| {
        let (member, place) = word.split_once(':')?;
        Some(KeyHolder { member: member.parse().ok()?, index: HolderIndex::new(decimal(place)?)? })
    };
    let holders = lines.next()?.split(' ').map(holder).collect::<Option<_>>()?;
    let class = |line: &str| {
        let mut words = line.split(' ');
        let class = KeyClass::from_str(words.next()?).ok()?;
        let polynomial = words.map(|word| GroupElement::try_from(word.to_owned()).ok()).collect::<Option<_>>()?;
        Some(SharedClass { class, polynomial })
    };
    let classes = lines.map(class).collect::<Option<_>>()?;
    Some(SharedGeneration { key, generation, threshold, holders, classes })
}

fn is_sound(sharing: &SharedGeneration) -> bool {
    let threshold = usize::from(sharing.threshold);
    let count = sharing.holders.len();
    let members: BTreeSet<&MemberId> = sharing.holders.iter().map(|holder| &holder.member).collect();
    (MIN_THRESHOLD..=MAX_KEY_HOLDERS).contains(&threshold)
        && (threshold..=MAX_KEY_HOLDERS).contains(&count)
        && members.len() == count
        && sharing.holders.is_sorted_by(|a, b| a.index < b.index)
        && sharing.classes.iter().map(|class| class.class).eq(KeyClass::ALL.iter().copied())
        && sharing.classes.iter().all(|class| class.polynomial.len() == threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::fixtures::{alliance, padded, signing_key};

    const MEMBERS: [&str; 3] = ["acme", "brand", "chips"];

    fn sharing() -> SharedGeneration {
        let holder = |(place, member): (u16, &str)| KeyHolder {
            member: member.parse().expect("valid"),
            index: HolderIndex::new(place).expect("not zero"),
        };
        let class = |class: &KeyClass| SharedClass { class: *class, polynomial: vec![GroupElement([7; 32]); 2] };
        SharedGeneration {
            key: "k1".parse().expect("valid"),
            generation: 4,
            threshold: 2,
            holders: (1..).zip(MEMBERS).map(holder).collect(),
            classes: KeyClass::ALL.iter().map(class).collect(),
        }
    }

    fn key_of(member: &MemberId) -> Option<FeedKey> {
        let place = MEMBERS.iter().position(|known| *known == member.as_str())?;
        Some(signing_key(u8::try_from(place).expect("small")).public())
    }

    fn signed(sharing: &SharedGeneration, by: &[&str]) -> Bytes {
        let sign = |member: &&str| {
            let place = MEMBERS.iter().position(|known| known == member).expect("known");
            let key = signing_key(u8::try_from(place).expect("small"));
            sign_sharing(&alliance(), sharing, &member.parse().expect("valid"), &key)
        };
        let notes: Vec<Bytes> = by.iter().map(sign).collect();
        join_sharing(notes.iter().map(|note| &note[..])).expect("all say the same")
    }

    #[test]
    fn what_all_holders_say_of_their_shares_is_believed_and_nothing_else() {
        let open = |note: &[u8]| open_sharing(note, &alliance(), key_of);
        let note = signed(&sharing(), &MEMBERS);
        assert_eq!(open(&note), Ok(sharing()));
        assert_eq!(open(&signed(&sharing(), &MEMBERS[..2])), Err(NoteError::NotSigned), "one is missing");
        let fewer = SharedGeneration { holders: sharing().holders[..2].to_vec(), ..sharing() };
        assert_eq!(open(&signed(&fewer, &MEMBERS)), Err(NoteError::NotSigned), "and one is too many");
        let text = String::from_utf8(note.to_vec()).expect("text");
        assert_eq!(open(text.replace("k1 4 2", "k1 5 2").as_bytes()), Err(NoteError::WrongSignature));
        let unknown = |member: &MemberId| key_of(member).filter(|_| member.as_str() != "chips");
        assert_eq!(open_sharing(&note, &alliance(), unknown), Err(NoteError::NotSigned));
        let others = [SharedGeneration { generation: 5, ..sharing() }, sharing()];
        let alone: Vec<Bytes> = others.iter().map(|of| signed(of, &["acme"])).collect();
        assert_eq!(join_sharing(alone.iter().map(|note| &note[..])), None);
    }

    #[test]
    fn a_holder_signs_alone_so_that_it_spoils_no_others_signature() {
        let (acme, key) = ("acme".parse().expect("valid"), signing_key(0).public());
        let verify = |note: &[u8]| verify_sharing(&alliance(), &sharing(), &acme, &key, note);
        let alone = signed(&sharing(), &["acme"]);
        assert_eq!(verify(&alone), Ok(true));
        let other = SharedGeneration { generation: 5, ..sharing() };
        assert_eq!(verify(&signed(&other, &["acme"])), Ok(false), "it signed something else");
        assert_eq!(verify(&signed(&sharing(), &["brand"])), Err(NoteError::NotSigned));
        let text = String::from_utf8(alone.to_vec()).expect("text");
        let own = text.lines().last().expect("a signature");
        for line in ["\u{2014} x/y AAAAAAAA", own, &own.replace("/acme", "/brand")] {
            let spoiled = format!("{text}{line}\n");
            assert_eq!(verify(spoiled.as_bytes()), Err(NoteError::TooManySignatures), "{line}");
        }
    }

    #[test]
    fn shares_that_nobody_could_use_are_not_believed() {
        let with = |change: &dyn Fn(&mut SharedGeneration)| {
            let mut changed = sharing();
            change(&mut changed);
            open_sharing(&signed(&changed, &MEMBERS), &alliance(), key_of)
        };
        assert!(with(&|_| ()).is_ok());
        assert_eq!(with(&|s| s.threshold = 1), Err(NoteError::Malformed));
        assert_eq!(with(&|s| s.threshold = 4), Err(NoteError::Malformed));
        let of_threshold = |s: &mut SharedGeneration, threshold: u16| {
            s.threshold = threshold;
            s.classes.iter_mut().for_each(|class| class.polynomial.resize(usize::from(threshold), GroupElement([7; 32])));
        };
        assert!(with(&|s| of_threshold(s, 3)).is_ok());
        assert_eq!(with(&|s| of_threshold(s, 1)), Err(NoteError::Malformed), "one of them would know the key");
        assert_eq!(with(&|s| of_threshold(s, 4)), Err(NoteError::Malformed), "there are not so many");
        assert_eq!(with(&|s| s.holders.swap(0, 1)), Err(NoteError::Malformed));
        assert_eq!(with(&|s| s.holders[1].index = s.holders[0].index), Err(NoteError::Malformed));
        assert_eq!(with(&|s| s.classes.truncate(2)), Err(NoteError::Malformed));
        assert_eq!(with(&|s| s.classes[1].polynomial.truncate(1)), Err(NoteError::Malformed));
    }

    #[test]
    fn what_is_said_of_shares_has_a_bound() {
        let note = signed(&sharing(), &MEMBERS);
        let open = |bytes| open_sharing(&padded(&note, bytes), &alliance(), key_of);
        // The one that pads is no member.
        assert_eq!(open(MAX_SHARING_BYTES), Err(NoteError::NotSigned));
        assert_eq!(open(MAX_SHARING_BYTES + 1), Err(NoteError::Malformed));
        let (acme, key) = ("acme".parse().expect("valid"), signing_key(0).public());
        let alone = signed(&sharing(), &["acme"]);
        let verify = |bytes| verify_sharing(&alliance(), &sharing(), &acme, &key, &padded(&alone, bytes));
        assert_eq!(verify(MAX_SHARING_BYTES), Err(NoteError::TooManySignatures));
        assert_eq!(verify(MAX_SHARING_BYTES + 1), Err(NoteError::Malformed));
    }
}
