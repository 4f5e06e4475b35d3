//! The secretariat's side of pseudonym keys that members share. It never sees a key or a share: it says who is to make one, and puts
//! what came of it into the roster.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Document, Secretariat, spread};
use crate::alliance::folder::{AllianceFolder, destroy as destroy_secret, read_public};
use crate::cli::Environment;
use crate::cli::failure::Failure;
use crate::cli::output::Printer;
use crate::domain::limits::MAX_SHARING_BYTES;
use crate::domain::{HolderIndex, KeyHolder, KeyId, KeyState, MemberId, MemberState, Roster, RosterKey, Scheme, Sharing};
use crate::service::believe;

/// Holders of a key where nobody says otherwise: with five any two may be down or lie.
const USUAL_HOLDERS: usize = 5;
/// How holders are changed so that enough of them always have their shares.
const ADD_FIRST: &str =
    "add the new ones first, and take out the others when `countermark key status` shows that all have made theirs anew";

#[derive(Subcommand)]
pub(in crate::cli) enum AllianceKeyCommand {
    /// Have members make a new key among them. It is used once it is adopted.
    Add(AddArguments),
    /// Take a key into use that its holders have made. Others that are in use retire: they answer checks, and nothing is written under
    /// them any more. Of a key in use, take in its newest shares, so that nodes need not ask for them.
    Adopt(AdoptArguments),
    /// Set who holds a key. Who comes gets its share from the others; when somebody goes, the others make theirs anew.
    Holders(HoldersArguments),
    /// End a key that retires, or was never made. Signals that were not submitted again under another one are found by nobody any more.
    Destroy(DestroyArguments),
}

#[derive(Args)]
pub(in crate::cli) struct AddArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Name of the key. The next that is free where none is given.
    #[arg(long, value_name = "KEY")]
    id: Option<KeyId>,
    /// Members that hold a share, 2 to 16. The first five that are active where none is given.
    #[arg(long, value_delimiter = ',', value_name = "MEMBER")]
    holders: Vec<MemberId>,
    /// How many of them can use the key together: so many may not lie or be robbed, and so many must be up. More than half where none is
    /// given.
    #[arg(long, value_name = "COUNT")]
    threshold: Option<u16>,
}

#[derive(Args)]
pub(in crate::cli) struct AdoptArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// What a holder wrote with `countermark key result`.
    #[arg(value_name = "RESULT")]
    result: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct HoldersArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// The key.
    #[arg(value_name = "KEY")]
    id: KeyId,
    /// All its holders; whoever is left out holds it no more.
    #[arg(long, value_delimiter = ',', required = true, value_name = "MEMBER")]
    holders: Vec<MemberId>,
}

#[derive(Args)]
pub(in crate::cli) struct DestroyArguments {
    /// The secretariat's folder.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// The key.
    #[arg(value_name = "KEY")]
    id: KeyId,
}

/// The key that an alliance begins with: pending, held by its first members. `None` where they are too few.
pub(super) fn first(id: KeyId, members: &[MemberId]) -> Option<RosterKey> {
    let holders = &members[..members.len().min(USUAL_HOLDERS)];
    let threshold = majority(holders.len())?;
    Some(pending(id, threshold, holders.iter().cloned().zip(places(&BTreeSet::new())).collect()))
}

/// More than half; `None` where that is one.
fn majority(holders: usize) -> Option<u16> {
    u16::try_from(holders / 2 + 1).ok().filter(|threshold| *threshold > 1)
}

fn pending(id: KeyId, threshold: u16, holders: Vec<(MemberId, HolderIndex)>) -> RosterKey {
    let holders = holders.into_iter().map(|(member, index)| KeyHolder { member, index }).collect();
    let sharing = Sharing { threshold, generation: 0, holders, classes: Vec::new(), former: Vec::new() };
    let (scheme, state) = (Scheme::ToprfRistretto255, KeyState::Pending);
    RosterKey { id, scheme, state, check: String::new(), sharing: Some(sharing) }
}

/// Places above those that were ever taken: a share that somebody still has must not become another's.
fn places(taken: &BTreeSet<HolderIndex>) -> impl Iterator<Item = HolderIndex> + use<> {
    let last = taken.last().map_or(0, |last| last.get());
    (last.saturating_add(1)..=u16::MAX).filter_map(HolderIndex::new)
}

/// `2 of 3: acme, brand, chips`.
pub(super) fn holders_line(sharing: &Sharing) -> String {
    let names: Vec<&str> = sharing.holders.iter().map(|holder| holder.member.as_str()).collect();
    format!("{} of {}: {}", sharing.threshold, names.len(), names.join(", "))
}

pub(super) fn run(command: &AllianceKeyCommand, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let folder = match command {
        AllianceKeyCommand::Add(arguments) => &arguments.folder,
        AllianceKeyCommand::Adopt(arguments) => &arguments.folder,
        AllianceKeyCommand::Holders(arguments) => &arguments.folder,
        AllianceKeyCommand::Destroy(arguments) => &arguments.folder,
    };
    let mut secretariat = Secretariat::open(AllianceFolder::at(folder))?;
    let mut next = secretariat.roster().clone();
    let advice = match command {
        AllianceKeyCommand::Add(arguments) => add(&mut next, arguments)?,
        AllianceKeyCommand::Adopt(arguments) => adopt(&mut next, arguments)?,
        AllianceKeyCommand::Holders(arguments) => set_holders(&mut next, arguments)?,
        AllianceKeyCommand::Destroy(arguments) => destroy(&mut next, &arguments.id)?,
    };
    if next == *secretariat.roster() {
        printer.note("this is so already");
    } else {
        secretariat.change(environment.now(), |roster| *roster = next)?;
        spread(&secretariat, printer);
        printer.note(advice);
    }
    if let AllianceKeyCommand::Destroy(arguments) = command {
        // Now that the roster says so: the other way round a crash would leave a key that nobody can admit a member with.
        destroy_secret(&AllianceFolder::at(folder).pseudonym_key(&arguments.id))?;
    }
    printer.show(&Document::of(&secretariat))
}

fn add(roster: &mut Roster, arguments: &AddArguments) -> Result<String, Failure> {
    let free = || {
        let names = (1..).filter_map(|number: u32| format!("k{number}").parse::<KeyId>().ok());
        names.into_iter().find(|name| roster.keys.iter().all(|key| key.id != *name))
    };
    let id = arguments.id.clone().or_else(free).ok_or_else(|| Failure::usage("give the new key a name"))?;
    if roster.keys.iter().any(|key| key.id == id) {
        let failure = Failure::new("KEY_EXISTS", format!("there is or was a key {id}"));
        return Err(failure.advise("give another name: one that was used before is never used again"));
    }
    let active = roster.members.iter().filter(|member| member.state == MemberState::Active).map(|member| member.id.clone());
    let holders = if arguments.holders.is_empty() { active.take(USUAL_HOLDERS).collect() } else { arguments.holders.clone() };
    active_only(roster, &holders)?;
    let threshold = arguments.threshold.or_else(|| majority(holders.len()));
    let threshold = threshold.ok_or_else(|| {
        let failure = Failure::new("HOLDERS_TOO_FEW", "a key is shared among 2 members at least".to_owned());
        failure.advise("admit more members first")
    })?;
    let are_all_needed = holders.len() == usize::from(threshold);
    let sharing = holders.into_iter().zip(places(&BTreeSet::new())).collect();
    roster.keys.push(pending(id.clone(), threshold, sharing));
    let warning =
        if are_all_needed { "All of them are needed: where one loses its share for good, the key is lost. " } else { "" };
    Ok(format!(
        "{warning}Its holders' nodes make the key among them once they have this roster and all run. Then one of them runs `countermark key \
         result {id} --out {id}.note` and sends it; then `countermark alliance key adopt`."
    ))
}

fn active_only(roster: &Roster, holders: &[MemberId]) -> Result<(), Failure> {
    match holders.iter().find(|holder| !roster.is_active(holder)) {
        None => Ok(()),
        Some(unknown) => {
            let failure = Failure::new("MEMBER_UNKNOWN", format!("{unknown} is no active member of {}", roster.alliance));
            Err(failure.advise("see `countermark alliance roster`"))
        }
    }
}

fn find<'r>(roster: &'r mut Roster, id: &KeyId) -> Result<&'r mut RosterKey, Failure> {
    let alliance = roster.alliance.clone();
    roster.keys.iter_mut().find(|key| key.id == *id).ok_or_else(|| {
        let failure = Failure::new("KEY_UNKNOWN", format!("there is no key {id} in the roster of {alliance}"));
        failure.advise("see `countermark alliance roster`")
    })
}

fn adopt(roster: &mut Roster, arguments: &AdoptArguments) -> Result<String, Failure> {
    let note = read_public(&arguments.result, MAX_SHARING_BYTES as u64)?;
    let was_pending: BTreeSet<KeyId> =
        roster.keys.iter().filter(|key| key.state == KeyState::Pending).map(|key| key.id.clone()).collect();
    let key = take_in(roster, &note)?;
    if !was_pending.contains(&key) {
        return Ok(format!("Nodes that start with this roster know the newest shares of key {key} at once."));
    }
    Ok(format!(
        "Key {key} is in use as soon as the nodes have this roster. Where another one retires, members submit their signals again; \
         `countermark key status` at each shows how far they are, and then `countermark alliance key destroy` ends the old one."
    ))
}

/// Takes the key into use that a note of its holders is about; of one that is in use, its newest shares.
///
/// # Errors
/// Where the note is not what all holders of a key signed, or the roster knows newer shares.
pub(in crate::cli) fn take_in(roster: &mut Roster, note: &str) -> Result<KeyId, Failure> {
    let shared = roster.keys.iter().filter(|key| key.state != KeyState::Destroyed && key.sharing.is_some());
    let believed: Vec<_> = shared.map(|key| believe(&roster.alliance, roster, key, note.as_bytes())).collect();
    let Some(made) = believed.iter().find_map(|believed| believed.as_ref().ok()).cloned() else {
        let why = believed.into_iter().find_map(Result::err).map_or_else(|| "no key is shared".to_owned(), |e| e.to_string());
        let failure = Failure::new("KEY_RESULT_REFUSED", format!("what came of the ceremony is not taken: {why}"));
        return Err(failure.advise("give what a holder of the key wrote with `countermark key result`"));
    };
    let refused = |sentence: &str| Failure::new("KEY_RESULT_REFUSED", sentence.to_owned());
    let Some(listed) = roster.keys.iter_mut().find(|key| key.id == made.key) else {
        return Err(refused("the roster has no such key"));
    };
    let state = listed.state;
    if let Some(sharing) = &mut listed.sharing {
        if state != KeyState::Pending && sharing.generation > made.generation {
            return Err(refused("the roster knows newer shares of this key").advise("ask a holder for its newest result"));
        }
        (sharing.generation, sharing.classes) = (made.generation, made.classes.clone());
    }
    if state == KeyState::Pending {
        roster.keys.iter_mut().filter(|key| key.state == KeyState::Active).for_each(|key| key.state = KeyState::Retiring);
        roster.keys.iter_mut().filter(|key| key.id == made.key).for_each(|key| key.state = KeyState::Active);
    }
    Ok(made.key)
}

fn set_holders(roster: &mut Roster, arguments: &HoldersArguments) -> Result<String, Failure> {
    active_only(roster, &arguments.holders)?;
    let id = &arguments.id;
    let key = find(roster, id)?;
    let Some(sharing) = &mut key.sharing else {
        return Err(
            Failure::new("KEY_NOT_SHARED", format!("every member has all of key {id}")).advise("add a key that is shared")
        );
    };
    let stay = sharing.holders.iter().filter(|holder| arguments.holders.contains(&holder.member)).cloned();
    let stay: Vec<KeyHolder> = stay.collect();
    if stay.len() < usize::from(sharing.threshold) {
        let sentence = format!("{} of the holders of key {id} must stay, and {} would", sharing.threshold, stay.len());
        return Err(Failure::new("HOLDERS_TOO_FEW", sentence).advise(ADD_FIRST));
    }
    let new: BTreeSet<&MemberId> =
        arguments.holders.iter().filter(|member| stay.iter().all(|holder| holder.member != **member)).collect();
    let made = !sharing.classes.is_empty();
    if made && !new.is_empty() && stay.len() < sharing.holders.len() {
        let sentence = "members are added as holders, or taken out, but not both at once".to_owned();
        return Err(Failure::new("HOLDERS_BOTH_WAYS", sentence).advise(ADD_FIRST));
    }
    let gone = sharing.holders.iter().filter(|holder| !stay.contains(holder)).cloned();
    let mut former: Vec<KeyHolder> = sharing.former.iter().cloned().chain(gone).collect();
    let taken = stay.iter().chain(&former).map(|holder| holder.index).collect();
    let mut free = places(&taken);
    sharing.holders = stay;
    for member in new {
        let known = former.iter().position(|holder| holder.member == *member).map(|place| former.swap_remove(place));
        let fresh = || free.next().map(|index| KeyHolder { member: member.clone(), index });
        sharing.holders.extend(known.or_else(fresh));
    }
    former.sort_unstable_by_key(|holder| holder.index);
    sharing.former = former;
    Ok("The nodes of the holders see to it by themselves; `countermark key status` there shows how far they are.".to_owned())
}

fn destroy(roster: &mut Roster, id: &KeyId) -> Result<String, Failure> {
    let key = find(roster, id)?;
    let was_used = key.state == KeyState::Retiring;
    match key.state {
        KeyState::Active => {
            let failure = Failure::new("KEY_IN_USE", format!("signals are written under key {id}"));
            return Err(failure.advise("adopt another one first, which has this one retire"));
        }
        KeyState::Pending | KeyState::Retiring => key.state = KeyState::Destroyed,
        KeyState::Destroyed => {}
    }
    let first = if was_used {
        " Do not spread it before `countermark key status` at every member shows all own signals under another key, and no marker, \
         override or watch without it: what is left then does nothing any more, and nobody is told."
    } else {
        ""
    };
    let Some(sharing) = &mut key.sharing else {
        return Ok(format!(
            "Here the secret of key {id} is removed, and the members' nodes remove theirs when they have this roster. Have every member \
             remove it from backups, too: whoever keeps it can name each seller that was stated under it.{first}"
        ));
    };
    sharing.classes.clear();
    Ok(format!("The holders' nodes destroy their shares of key {id} when they have this roster.{first}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GroupElement, KeyClass, Member, SharedClass};
    use crate::feed::fixtures::roster;

    fn members(names: &[&str]) -> Vec<MemberId> {
        names.iter().map(|name| name.parse().expect("valid")).collect()
    }

    fn add_to(roster: &mut Roster, holders: &[&str], threshold: Option<u16>) -> Result<String, String> {
        let arguments = AddArguments { folder: "x".into(), id: None, holders: members(holders), threshold };
        add(roster, &arguments).map_err(|failure| failure.code().to_owned())
    }

    fn set(roster: &mut Roster, holders: &[&str]) -> Result<String, String> {
        let arguments = HoldersArguments { folder: "x".into(), id: "k1".parse().expect("valid"), holders: members(holders) };
        set_holders(roster, &arguments).map_err(|failure| failure.code().to_owned())
    }

    #[test]
    fn a_key_is_to_be_made_by_more_than_half_of_a_few_members() {
        let names: Vec<MemberId> = (0..7).map(|n| format!("m{n}").parse().expect("valid")).collect();
        let of = |count: usize| first("k1".parse().expect("valid"), &names[..count]).and_then(|key| key.sharing);
        assert_eq!((of(0), of(1)), (None, None), "nobody to share it with");
        let lines: Vec<String> = [2, 3, 5, 7].iter().map(|n| holders_line(&of(*n).expect("shared"))).collect();
        assert_eq!(lines, ["2 of 2: m0, m1", "2 of 3: m0, m1, m2", "3 of 5: m0, m1, m2, m3, m4", "3 of 5: m0, m1, m2, m3, m4"]);
        let mut alliance = roster();
        assert!(add_to(&mut alliance, &[], None).is_ok());
        assert!(add_to(&mut alliance, &["chips", "acme"], None).is_ok());
        assert_eq!(alliance.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["k1", "k2"]);
        assert_eq!(alliance.validate(), Ok(()));
        assert_eq!(add_to(&mut alliance, &["chips", "gone"], None), Err("MEMBER_UNKNOWN".into()));
        assert_eq!(add_to(&mut alliance, &["chips"], None), Err("HOLDERS_TOO_FEW".into()));
    }

    #[test]
    fn holders_come_and_go_without_the_key_being_lost_and_no_place_is_given_twice() {
        let mut alliance = roster();
        add_to(&mut alliance, &["acme", "brand"], None).expect("added");
        let places = |alliance: &Roster| {
            let sharing = alliance.keys[0].sharing.clone().expect("shared");
            sharing.holders.iter().map(|holder| (holder.member.to_string(), holder.index.get())).collect::<Vec<_>>()
        };
        assert_eq!(set(&mut alliance, &["acme", "chips"]), Err("HOLDERS_TOO_FEW".into()), "one of two knows nothing");
        set(&mut alliance, &["acme", "brand", "chips"]).expect("one more");
        set(&mut alliance, &["chips", "acme"]).expect("one fewer");
        set(&mut alliance, &["acme", "brand", "chips"]).expect("again");
        assert_eq!(places(&alliance), [("acme".into(), 1), ("chips".into(), 3), ("brand".into(), 2)], "each its own");
        set(&mut alliance, &["acme", "chips"]).expect("one fewer");
        alliance.members.push(Member { id: "drinks".parse().expect("valid"), ..alliance.members[0].clone() });
        set(&mut alliance, &["acme", "chips", "drinks"]).expect("another one");
        assert_eq!(places(&alliance).last(), Some(&("drinks".into(), 4)), "whoever has a share of place 2 is still somebody");
        let class = |class: &KeyClass| SharedClass { class: *class, polynomial: vec![GroupElement([1; 32]); 2] };
        let sharing = alliance.keys[0].sharing.as_mut().expect("shared");
        sharing.classes = KeyClass::ALL.iter().map(class).collect();
        assert_eq!(set(&mut alliance, &["acme", "chips", "brand"]), Err("HOLDERS_BOTH_WAYS".into()));
        alliance.keys[0].sharing.as_mut().expect("shared").classes.clear();
        assert!(destroy(&mut alliance, &"k1".parse().expect("valid")).is_ok(), "it was never made");
        assert_eq!(alliance.keys[0].state, KeyState::Destroyed);
        assert_eq!(alliance.validate(), Ok(()));
    }
}
