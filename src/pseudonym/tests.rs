mod forms;
mod keys;
mod lists;
mod properties;

use crate::domain::{FieldError, Identifier, IdentifierKind, Platform, Policy, Roster};

use super::{CanonicalIdentifier, Canonicaliser};

fn roster() -> Roster {
    let platform = |id: &str, case_sensitive, domains: &[&str]| Platform {
        id: id.parse().expect("a slug"),
        case_sensitive,
        domains: domains.iter().map(|d| (*d).to_owned()).collect(),
    };
    Roster {
        policy: Policy {
            shared_hosts: ["Mall.example".to_owned(), "stores.host.example".to_owned()].into(),
            ..Policy::default()
        },
        platforms: vec![platform("taobao", false, &["taobao.com"]), platform("tube", true, &["tube.example", "myshopify.com"])],
        ..Roster::first("alliance.example".parse().expect("a name"), "2026-11-22T00:00:00Z".into())
    }
}

pub(super) fn canonicaliser() -> Canonicaliser {
    Canonicaliser::new(&roster()).expect("a sound roster")
}

fn identifier(kind: IdentifierKind, value: &str, region: &str) -> Identifier {
    Identifier { kind, value: value.into(), region: region.into() }
}

fn canonical(kind: IdentifierKind, value: &str, region: &str) -> Result<CanonicalIdentifier, FieldError> {
    canonicaliser().canonical(&identifier(kind, value, region))
}

fn text(form: &CanonicalIdentifier) -> &str {
    std::str::from_utf8(form.as_bytes()).expect("forms are UTF-8")
}
