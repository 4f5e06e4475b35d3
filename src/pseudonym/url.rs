use url::Url;

use crate::domain::{FieldError, IdentifierKind};

use super::canonical::{invalid, refused};
use super::domain::{a_labels, accepted, registrable};
use super::hosts::Hosts;

const KIND: IdentifierKind = IdentifierKind::Url;

/// Parameters that say how a visitor came, never what the page shows. A parameter belongs here only where dropping it
/// cannot make two pages one.
const TRACKING: &[&str] = &[
    "_branch_match_id",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "_openstat",
    "_pos",
    "_psq",
    "_sid",
    "_ss",
    "aff_fcid",
    "aff_fsk",
    "aff_platform",
    "aff_trace_key",
    "algo_exp_id",
    "algo_pvid",
    "dclid",
    "epik",
    "fb_action_ids",
    "fb_action_types",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "gs_lcrp",
    "igsh",
    "igshid",
    "irclickid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "pvid",
    "rb_clickid",
    "s_cid",
    "scm",
    "scm_id",
    "sc_lid",
    "sc_uid",
    "sclid",
    "spm",
    "srsltid",
    "sxsrf",
    "terminal_id",
    "tt_medium",
    "ttclid",
    "twclid",
    "vero_id",
    "wbraid",
    "wickedid",
    "yclid",
    "ysclid",
];
/// Beginnings of such parameters' names.
const TRACKING_PREFIXES: &[&str] = &["utm_", "hsa_", "mtm_", "pk_"];

/// How lists written as HTML carry the characters of a URL.
const ENTITIES: &[(&str, &str)] = &[
    ("&amp;", "&"),
    ("&AMP;", "&"),
    ("&#38;", "&"),
    ("&#038;", "&"),
    ("&#x26;", "&"),
    ("&#X26;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&#39;", "'"),
    ("&#039;", "'"),
    ("&#x27;", "'"),
];

/// A page: WHATWG URL without fragment, login, default port and tracking parameters, the host as A-labels without the
/// root's dot, always written with `https`.
///
/// Records mix `http`, `https` and no scheme at all for one page, and no host serves two sellers' pages under the two, so
/// the scheme says nothing. A URL that is only a host is a domain and refused as such, so that it does not get a second
/// form, unless the domain is a platform's or shared: there `https://shop123.tmall.com/` is the only name a store has.
pub(super) fn canonical(value: &str, hosts: &Hosts) -> Result<String, FieldError> {
    let url = parsed(&without_entities(value))?;
    let mut url = plain(url).ok_or_else(not_a_url)?;
    let query = url.query().map(without_tracking).filter(|query| !query.is_empty());
    url.set_query(query.as_deref());
    if url.path() == "/" && url.query().is_none() {
        store_of_a_host(&url, hosts)?;
    }
    Ok(url.into())
}

/// Decoded until nothing is left to decode: what was escaped twice is read like what was escaped once.
fn without_entities(value: &str) -> String {
    let mut value = value.to_owned();
    while let Some((entity, character)) = ENTITIES.iter().find(|(entity, _)| value.contains(entity)) {
        value = value.replace(entity, character);
    }
    value
}

fn parsed(value: &str) -> Result<Url, FieldError> {
    let url = match value.split_once("://") {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#', '.']) => Url::parse(value),
        _ => Url::parse(&format!("https://{}", value.strip_prefix("//").unwrap_or(value))),
    };
    let url = url.map_err(|_| not_a_url())?;
    if matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    Err(refused(KIND, "URL_SCHEME", "only web pages are taken; give a URL that begins with https:// or http://"))
}

/// `url` without what does not name the page; `None` where its host is a name that the DNS cannot hold.
fn plain(mut url: Url) -> Option<Url> {
    if let Some(name) = url.domain() {
        let name = a_labels(name).ok()?;
        url.set_host(Some(&name)).ok()?;
    }
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_scheme("https").ok()?;
    Some(url)
}

fn without_tracking(query: &str) -> String {
    query.split('&').filter(|pair| !pair.is_empty() && !is_tracking(pair)).collect::<Vec<_>>().join("&")
}

fn is_tracking(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    TRACKING.contains(&name.as_str()) || TRACKING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Lets a URL without path and query pass if its host is one store below a platform or shared host.
fn store_of_a_host(url: &Url, hosts: &Hosts) -> Result<(), FieldError> {
    let host = url.domain().unwrap_or_default();
    let Err(refusal) = accepted(host, hosts) else {
        return Err(refused(KIND, "URL_IS_DOMAIN", "this is a whole site; give it as domain, or give one page's URL"));
    };
    let store = registrable(host).and_then(|domain| host.strip_suffix(domain)).unwrap_or_default();
    if matches!(store, "" | "www." | "m.") {
        return Err(refused(KIND, refusal.code, "this is not a seller's site; give the URL of the seller's page"));
    }
    Ok(())
}

fn not_a_url() -> FieldError {
    invalid(KIND, "this is no URL; give one page's address such as https://shop.example/item/1")
}
