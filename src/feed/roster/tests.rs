use super::*;
use crate::domain::{Group, Member, MemberKind, MemberState, Platform};
use crate::feed::fixtures::{alliance, padded, signing_key};

fn roster(serial: u64) -> Roster {
    let member = |id: &str, byte: u8| Member {
        id: id.parse().expect("valid"),
        kind: MemberKind::Brand,
        name: "Exämple \"Brands\"\n\n\u{2014} Ltd".into(),
        state: MemberState::Active,
        address: "127.0.0.1:1".into(),
        feed_key: signing_key(byte).public(),
    };
    Roster {
        serial,
        members: vec![member("acme", 1), member("umbra", 2)],
        groups: vec![Group {
            name: "luxury".parse().expect("valid"),
            members: ["acme", "umbra"].map(|m| m.parse().expect("valid")).into(),
        }],
        platforms: vec![Platform {
            id: "market".parse().expect("valid"),
            case_sensitive: true,
            domains: ["market.example".to_owned()].into(),
        }],
        ..Roster::first(alliance(), "2026-11-22T00:00:00Z".into())
    }
}

fn signed(roster: Roster) -> SignedRoster {
    SignedRoster::sign(roster, &signing_key(9)).expect("valid")
}

fn open_text(text: &str) -> Result<SignedRoster, RosterError> {
    let note = sign_note(text, "alliance.example/roster", &signing_key(9));
    SignedRoster::open(note, &alliance(), &signing_key(9).public())
}

fn text(roster: &Roster) -> String {
    toml::to_string(roster).expect("TOML")
}

#[test]
fn a_roster_opens_as_what_was_signed() {
    for roster in [roster(1), Roster { members: vec![], groups: vec![], platforms: vec![], ..roster(7) }] {
        let made = signed(roster.clone());
        let opened = SignedRoster::open(made.note().clone(), &alliance(), &signing_key(9).public()).expect("its own");
        assert_eq!(opened, made);
        assert_eq!(opened.roster(), &roster);
    }
}

#[test]
fn a_roster_that_contradicts_itself_is_neither_signed_nor_opened() {
    let bad = Roster { serial: 0, ..roster(1) };
    assert_eq!(SignedRoster::sign(bad.clone(), &signing_key(9)).expect_err("refused").code(), "ROSTER_SERIAL");
    assert_eq!(open_text(&text(&bad)).expect_err("refused").code(), "ROSTER_SERIAL");
}

#[test]
fn no_name_makes_a_roster_that_does_not_open() {
    for name in ["a\tb", "a\u{7}b", "a\r\nb", "\n\n", "'''", "\"\"\"", "\u{7f}", "\u{2028}"] {
        let mut odd = roster(1);
        odd.members[0].name = name.into();
        assert_eq!(signed(odd.clone()).roster(), &odd, "{name:?}");
    }
}

#[test]
fn the_signature_comes_before_the_text() {
    let made = signed(roster(1));
    let open = |note: Bytes, byte| SignedRoster::open(note, &alliance(), &signing_key(byte).public());
    assert_eq!(open(made.note().clone(), 8).expect_err("refused").code(), "NOTE_NOT_SIGNED");
    let changed = String::from_utf8(made.note().to_vec()).expect("text").replacen("serial = 1", "serial = 2", 1);
    assert_eq!(open(changed.into(), 9).expect_err("refused").code(), "NOTE_SIGNATURE_WRONG");
    let not_toml = sign_note("= nonsense\n", "alliance.example/roster", &signing_key(8));
    assert_eq!(open(not_toml, 9).expect_err("refused").code(), "NOTE_NOT_SIGNED");
    assert_eq!(open_text("= nonsense\n").expect_err("refused").code(), "ROSTER_MALFORMED");
    assert_eq!(open(vec![b'a'; MAX_ROSTER_BYTES + 1].into(), 9).expect_err("refused").code(), "ROSTER_TOO_LARGE");
}

#[test]
fn a_checkpoint_of_the_same_key_is_no_roster() {
    let note = sign_note(&text(&roster(1)), "alliance.example/acme/all", &signing_key(9));
    let error = SignedRoster::open(note, &alliance(), &signing_key(9).public()).expect_err("refused");
    assert_eq!(error.code(), "NOTE_NOT_SIGNED");
}

#[test]
fn a_newer_layout_and_another_alliance_are_told_apart_from_nonsense() {
    assert_eq!(open_text("format = 2\nunheard_of = true\n").expect_err("refused").code(), "ROSTER_FORMAT");
    assert_eq!(open_text(&format!("unheard_of = 1\n{}", text(&roster(1)))).expect_err("refused").code(), "ROSTER_MALFORMED");
    let other = Roster { alliance: "other.example".parse().expect("valid"), ..roster(1) };
    assert_eq!(open_text(&text(&other)).expect_err("refused").code(), "ROSTER_FOREIGN_ALLIANCE");
}

#[test]
fn a_roster_never_goes_back_and_never_splits() {
    let (first, second) = (signed(roster(1)), signed(roster(2)));
    assert_eq!(supersede(None, &first).expect("taken"), Replacement::Replace);
    assert_eq!(supersede(Some(&first), &second).expect("taken"), Replacement::Replace);
    assert_eq!(supersede(Some(&second), &second.clone()).expect("known"), Replacement::Keep);
    assert_eq!(supersede(Some(&second), &first).expect_err("refused").code(), "ROSTER_ROLLED_BACK");
    let other = signed(Roster { issued_at: "2026-11-23T00:00:00Z".into(), ..roster(2) });
    assert_eq!(supersede(Some(&second), &other).expect_err("refused").code(), "ROSTER_EQUIVOCATION");
    let foreign = signed(Roster { alliance: "other.example".parse().expect("valid"), ..roster(3) });
    assert_eq!(supersede(Some(&second), &foreign).expect_err("refused").code(), "ROSTER_FOREIGN_ALLIANCE");
}

#[test]
fn a_newer_roster_keeps_every_member_and_its_key() {
    let held = signed(roster(1));
    let code = |change: &dyn Fn(&mut Roster)| {
        let mut next = roster(2);
        change(&mut next);
        supersede(Some(&held), &signed(next)).expect_err("refused").code()
    };
    assert_eq!(code(&|r| r.members[0].feed_key = signing_key(77).public()), "ROSTER_FEED_KEY_CHANGED");
    let dropped = |r: &mut Roster| {
        let gone = r.members.remove(0).id;
        r.groups.iter_mut().for_each(|group| group.members.retain(|member| *member != gone));
        r.groups.retain(|group| !group.members.is_empty());
    };
    assert_eq!(code(&dropped), "ROSTER_MEMBER_DROPPED");
}

#[test]
fn another_signature_under_the_same_text_is_nothing_new() {
    let held = signed(roster(2));
    let witness = "\u{2014} witness.example AAAAAAA=\n";
    let cosigned = [held.note().as_ref(), witness.as_bytes()].concat();
    let cosigned = SignedRoster::open(cosigned.into(), &alliance(), &signing_key(9).public()).expect("signed");
    assert_eq!(supersede(Some(&held), &cosigned).expect("known"), Replacement::Keep);
}

#[test]
fn a_roster_may_be_as_long_as_the_bound_and_no_longer() {
    let made = signed(roster(1));
    let open = |bytes| SignedRoster::open(padded(made.note(), bytes).into(), &alliance(), &signing_key(9).public());
    assert_eq!(open(MAX_ROSTER_BYTES).expect("fits").roster(), &roster(1));
    assert!(matches!(open(MAX_ROSTER_BYTES + 1), Err(RosterError::TooLarge)));
}
