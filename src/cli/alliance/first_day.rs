//! An alliance with its first members in one go, on one machine: for a first day and a demonstration. The secrets of all members
//! are made in one place here, which real members never do.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use super::Secretariat;
use crate::alliance::folder::{AllianceFolder, MemberFolder};
use crate::alliance::{Applicant, JoinRequest, MemberSecrets};
use crate::cli::Environment;
use crate::cli::failure::Failure;
use crate::cli::member;
use crate::domain::{AllianceName, FieldError, Member, MemberId, MemberKind, MemberState, Scheme};

/// A member of the first day: `id:kind:host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct FirstMember {
    pub(in crate::cli) id: MemberId,
    pub(in crate::cli) kind: MemberKind,
    /// `host:port` of its peer listener.
    pub(in crate::cli) address: String,
}

impl FromStr for FirstMember {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let mut parts = text.splitn(3, ':');
        let (Some(id), Some(kind), Some(address)) = (parts.next(), parts.next(), parts.next()) else {
            let message = "give id:kind:host:port, such as acme:brand:127.0.0.1:7400";
            return Err(FieldError::new("MEMBER_INVALID", "member", message));
        };
        Ok(Self { id: id.parse()?, kind: kind.parse()?, address: address.to_owned() })
    }
}

/// Founds the alliance and completes a folder for each member, `members/<id>` below the secretariat's.
///
/// # Errors
/// Where there is something already, or the members do not go together.
pub(in crate::cli) fn found(
    name: &AllianceName,
    folder: &AllianceFolder,
    members: &[FirstMember],
    scheme: Scheme,
    environment: &Environment,
) -> Result<Vec<MemberFolder>, Failure> {
    distinct_listeners(members)?;
    let mut asked = Vec::new();
    for first in members {
        let applicant = Applicant {
            alliance: name.clone(),
            member: first.id.clone(),
            kind: first.kind,
            name: first.id.to_string(),
            address: first.address.clone(),
        };
        let (request, secrets) = JoinRequest::create(applicant, environment.now(), environment.entropy.as_ref())?;
        asked.push((request, secrets));
    }
    let listed = asked.iter().map(|(request, _)| listed(request)).collect();
    let secretariat = Secretariat::found(name, folder.clone(), listed, scheme, environment)?;
    asked.iter().map(|(request, secrets)| settle(&secretariat, request, secrets, environment)).collect()
}

/// The member that a request describes, as it stands in the roster.
pub(super) fn listed(request: &JoinRequest) -> Member {
    Member {
        id: request.member.clone(),
        kind: request.kind,
        name: request.name.clone(),
        state: MemberState::Active,
        address: request.address.clone(),
        feed_key: request.feed_key,
    }
}

fn settle(
    secretariat: &Secretariat,
    request: &JoinRequest,
    secrets: &MemberSecrets,
    environment: &Environment,
) -> Result<MemberFolder, Failure> {
    let home = MemberFolder::at(secretariat.folder().path().join("members").join(request.member.as_str()));
    home.save_request(&request.to_json()?, secrets)?;
    let admission = secretariat.issue(request, environment)?;
    let accepted = admission.accept(request, secrets, environment.now())?;
    member::take_in(&home, request, secrets, &accepted, environment)?;
    Ok(home)
}

/// Members of one host must not want the same port, for peers or for clients.
fn distinct_listeners(members: &[FirstMember]) -> Result<(), Failure> {
    let mut seen: Vec<((&str, u16), &MemberId)> = Vec::new();
    for member in members {
        let peers = listener(&member.address)?;
        let host = member.address.rsplit_once(':').map_or("", |(host, _)| host);
        for wanted in [(host, peers.port()), (host, clients_beside(peers)?.port())] {
            if let Some(((host, port), other)) = seen.iter().find(|(taken, _)| *taken == wanted) {
                let sentence = format!("{other} and {} would both listen at {host}:{port}", member.id);
                return Err(Failure::usage(sentence).advise("a member takes two ports, for peers and clients: leave room"));
            }
            seen.push((wanted, &member.id));
        }
    }
    Ok(())
}

/// Where a node listens that others dial at `address`: there, where this is an address of the machine itself, else everywhere.
///
/// # Errors
/// Where it is not `host:port`.
pub(in crate::cli) fn listener(address: &str) -> Result<SocketAddr, Failure> {
    let invalid = || Failure::from(FieldError::new("ADDRESS_INVALID", "address", "give host:port, such as 127.0.0.1:7400"));
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let port: u16 = port.parse().map_err(|_| invalid())?;
    let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let host = match literal {
        Some(address) => address,
        None if host == "localhost" => loopback(port),
        None => IpAddr::from([0, 0, 0, 0]),
    };
    Ok(SocketAddr::new(host, port))
}

/// Where the node's clients dial in: the next port, and from this machine only.
///
/// # Errors
/// Where there is no next port.
pub(in crate::cli) fn clients_beside(peers: SocketAddr) -> Result<SocketAddr, Failure> {
    let port = peers.port().checked_add(1);
    let port = port.ok_or_else(|| Failure::usage("the port must leave room for the next one, for clients"))?;
    let host = if peers.ip().is_loopback() { peers.ip() } else { IpAddr::from([127, 0, 0, 1]) };
    Ok(SocketAddr::new(host, port))
}

/// What `localhost` means here.
fn loopback(port: u16) -> IpAddr {
    let found = ("localhost", port).to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_member_has_four_parts() {
        let member: FirstMember = "acme:brand:127.0.0.1:7400".parse().expect("valid");
        assert_eq!((member.id.as_str(), member.kind, member.address.as_str()), ("acme", MemberKind::Brand, "127.0.0.1:7400"));
        let member: FirstMember = "m:platform:[::1]:7400".parse().expect("valid");
        assert_eq!(member.address, "[::1]:7400");
        for bad in ["", "acme", "acme:brand", "acme:shop:127.0.0.1:1", "Acme:brand:127.0.0.1:1"] {
            assert!(bad.parse::<FirstMember>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_node_listens_where_it_is_dialled() {
        for (address, expected) in [
            ("127.0.0.1:7400", "127.0.0.1:7400"),
            ("[::1]:7400", "[::1]:7400"),
            ("node.acme.example:7400", "0.0.0.0:7400"),
            ("192.0.2.7:7400", "192.0.2.7:7400"),
        ] {
            assert_eq!(listener(address).expect("valid").to_string(), expected);
        }
        assert_eq!(clients_beside("0.0.0.0:7400".parse().expect("valid")).expect("room").to_string(), "127.0.0.1:7401");
    }
}
