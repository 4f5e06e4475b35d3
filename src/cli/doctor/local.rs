//! What lies on this machine: files, keys, certificates, the store's folder, the volume.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{Finding, State};
use crate::cli::Environment;
use crate::cli::failure::Failure;
use crate::cli::words;
use crate::config::{LoadedConfig, Materials};
use crate::domain::Timestamp;
use crate::domain::limits::CERTIFICATE_WARNING;
use crate::rpc::tls::TrustAnchors;

/// Free bytes below which a person has to see to it, whatever the store's size: room for a day of a busy member.
const LEAST_FREE: u64 = 1 << 30;
/// File systems on which a forced write may not be on disk, or two machines could open one store: their magic numbers (statfs(2)).
const UNSAFE_FILE_SYSTEMS: [(i64, &str); 5] = [
    (0x0102_1994, "tmpfs, which is gone after a restart"),
    (0x6969, "NFS, which does not promise that a forced write is on disk"),
    (0xff53_4d42, "CIFS, which does not promise that a forced write is on disk"),
    (0xfe53_4d42, "SMB, which does not promise that a forced write is on disk"),
    (0x6573_5546, "FUSE, which may not promise that a forced write is on disk"),
];

/// What was found, and what the files hold where all of them are good.
pub(super) fn look(loaded: &LoadedConfig, environment: &Environment) -> (Vec<Finding>, Option<Materials>) {
    let mut findings = vec![Finding::ok("configuration", loaded.path.display().to_string(), "reads well")];
    let materials = match loaded.materials(environment.now()) {
        Ok(materials) => {
            findings.push(Finding::ok("files", "", "every file that it names can be read, and no secret by others"));
            Some(materials)
        }
        Err(error) => {
            findings.push(Finding::of("files", State::Fault, "", &Failure::from(error)));
            None
        }
    };
    if let Some(materials) = &materials {
        findings.extend(certificates(materials, environment.now()));
        findings.push(keys(loaded, materials));
    }
    findings.extend(store(&loaded.config.node.data_dir));
    (findings, materials)
}

fn certificates(materials: &Materials, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![ends("this node's", materials.certificate.not_after, now)];
    let of_the_alliance = "fetch the newest list from the secretariat (`countermark alliance revoke` signs it), put it in place, and reload the node";
    let own = "sign it anew with `countermark member revoke`, and reload the node";
    for (whose, anchors, fix) in
        [("the alliance's CA", &materials.alliance, of_the_alliance), ("the member's own CA", &materials.clients, own)]
    {
        match anchors.not_after() {
            Ok(until) => findings.push(ends(whose, until, now)),
            Err(error) => findings.push(Finding::of("certificate", State::Fault, whose, &Failure::from(error))),
        }
        findings.extend(revocations(whose, anchors, now, fix));
    }
    findings
}

fn ends(whose: &str, until: Timestamp, now: Timestamp) -> Finding {
    let check = "certificate";
    let fix = "have it renewed, put it in place, and reload the node";
    match until.since(now) {
        left if left.is_zero() => {
            Finding::new(check, State::Fault, whose, format!("ended at {until}")).coded("CERTIFICATE_ENDED").fix(fix)
        }
        left if left < CERTIFICATE_WARNING => {
            Finding::new(check, State::Warning, whose, format!("ends at {until}")).coded("CERTIFICATE_ENDS").fix(fix)
        }
        _ => Finding::ok(check, whose, format!("good until {until}")),
    }
}

/// A list that is overdue still counts; one that revokes nobody new for months may be one that nobody makes any more.
fn revocations(whose: &str, anchors: &TrustAnchors, now: Timestamp, fix: &str) -> Option<Finding> {
    let next = match anchors.revocations() {
        Ok(revocations) => revocations.next_update?,
        Err(error) => return Some(Finding::of("revocations", State::Fault, whose, &Failure::from(error))),
    };
    if next > now {
        return Some(Finding::ok("revocations", whose, format!("the next list is due at {next}")));
    }
    let late = Finding::new("revocations", State::Warning, whose, format!("the next list was due at {next}"));
    Some(late.coded("CRL_OVERDUE").fix(fix))
}

fn keys(loaded: &LoadedConfig, materials: &Materials) -> Finding {
    let Some(signed) = &materials.roster else {
        return Finding::skipped("keys", "no roster file is named: the one in the store holds, which a running node compares");
    };
    match loaded.check_roster(materials) {
        Ok(()) => {
            let serial = signed.roster().serial;
            Finding::ok("keys", "", format!("the keys at hand are those that the roster lists (serial {serial})"))
        }
        Err(error) => Finding::of("keys", State::Fault, "", &Failure::from(error)),
    }
}

fn store(folder: &Path) -> Vec<Finding> {
    let name = folder.display().to_string();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            let finding = Finding::new("store", State::Fault, name, "node.data_dir is no folder").coded("DATA_DIR_INVALID");
            return vec![finding.fix("name a folder that belongs to the node alone")];
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return vec![parent(folder)],
        Err(error) => return vec![unusable(&name, &error)],
    };
    let mut findings = Vec::new();
    if metadata.permissions().mode() & 0o077 != 0 {
        let finding = Finding::new("store", State::Warning, &name, "other users of this machine may look into the folder");
        findings.push(finding.coded("DATA_DIR_OPEN").fix(format!("chmod 700 {name}")));
    }
    match tempfile::tempfile_in(folder) {
        Ok(_) => findings.push(Finding::ok("store", &name, "can be written to")),
        Err(error) => findings.push(unusable(&name, &error)),
    }
    findings.extend(file_system(folder, &name));
    findings.push(room(folder, &name, bytes_in(folder)));
    findings
}

/// A store that is not there yet is created at the start, where its parent allows it.
fn parent(folder: &Path) -> Finding {
    let name = folder.display().to_string();
    let existing = folder.ancestors().skip(1).find(|parent| parent.exists()).unwrap_or(Path::new("/"));
    match tempfile::tempfile_in(existing) {
        Ok(_) => Finding::ok("store", name, "is not there yet, and can be created at the first start"),
        Err(error) => unusable(&existing.display().to_string(), &error),
    }
}

fn unusable(name: &str, error: &std::io::Error) -> Finding {
    let fix = "have the folder belong to the user that runs the node, on a volume that can be written to";
    Finding::new("store", State::Fault, name, format!("cannot be written to: {error}")).coded("DATA_DIR_UNUSABLE").fix(fix)
}

fn file_system(folder: &Path, name: &str) -> Option<Finding> {
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    let (_, what) = UNSAFE_FILE_SYSTEMS.iter().find(|(magic, _)| *magic == kind)?;
    let finding = Finding::new("store", State::Warning, name, format!("lies on {what}")).coded("DATA_DIR_FILE_SYSTEM");
    Some(finding.fix("keep the store on a local disk with ext4, XFS or the like"))
}

fn room(folder: &Path, name: &str, used: u64) -> Finding {
    let free = match fs4::available_space(folder) {
        Ok(free) => free,
        Err(error) => return unusable(name, &error),
    };
    let said = format!("{} used, {} free", words::bytes(used), words::bytes(free));
    let fix = "make room: a purge takes as much as the store has, and a full volume ends all writing";
    match () {
        () if free < LEAST_FREE => Finding::new("disk", State::Fault, name, said).coded("DISK_FULL").fix(fix),
        () if free < used => Finding::new("disk", State::Warning, name, said).coded("DISK_FILLS").fix(fix),
        () => Finding::ok("disk", name, said),
    }
}

/// What the files below `folder` take; those that come and go meanwhile count or do not.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(of).sum()
}
