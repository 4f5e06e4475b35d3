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

/// Named references with which lists written as HTML carry the characters of a URL.
const ENTITIES: &[(&str, char)] =
    &[("&amp;", '&'), ("&AMP;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\'')];
/// Hosts by which platforms serve everybody: what a visitor does there, and the language it is shown in. A name of these
/// alone is no store.
const FUNCTION_HOSTS: &[&str] = &[
    "about",
    "account",
    "accounts",
    "admin",
    "api",
    "app",
    "apps",
    "ar",
    "assets",
    "auth",
    "b2b",
    "best",
    "blog",
    "business",
    "buy",
    "buyer",
    "cart",
    "cashier",
    "cdn",
    "center",
    "chat",
    "checkout",
    "click",
    "cn",
    "community",
    "coupon",
    "de",
    "detail",
    "developer",
    "en",
    "es",
    "feedback",
    "forum",
    "fr",
    "global",
    "group",
    "groups",
    "h5",
    "he",
    "help",
    "hk",
    "home",
    "i",
    "id",
    "im",
    "image",
    "images",
    "img",
    "intl",
    "it",
    "item",
    "items",
    "ja",
    "jp",
    "ju",
    "ko",
    "kr",
    "list",
    "live",
    "login",
    "m",
    "mai",
    "mall",
    "market",
    "media",
    "member",
    "members",
    "message",
    "mobile",
    "ms",
    "my",
    "news",
    "nl",
    "open",
    "order",
    "orders",
    "page",
    "pages",
    "passport",
    "pay",
    "pl",
    "play",
    "product",
    "products",
    "profile",
    "pt",
    "rate",
    "register",
    "ru",
    "s",
    "sale",
    "search",
    "secure",
    "sell",
    "seller",
    "sellers",
    "service",
    "sg",
    "shop",
    "shopping",
    "shops",
    "sign",
    "signin",
    "signup",
    "sso",
    "static",
    "store",
    "stores",
    "support",
    "th",
    "tr",
    "trade",
    "tw",
    "uk",
    "uland",
    "us",
    "user",
    "users",
    "vi",
    "video",
    "vn",
    "wap",
    "web",
    "wholesale",
    "wiki",
    "world",
    "ww",
    "www",
    "www1",
    "www2",
    "zh",
];

/// A page: WHATWG URL without fragment, login, default port and tracking parameters, the host as A-labels without the
/// root's dot, always written with `https`.
///
/// Records mix `http`, `https` and no scheme at all for one page, and no host serves two sellers' pages under the two, so
/// the scheme says nothing. A URL that is only a host is a domain and refused as such, so that it does not get a second
/// form, unless the domain is a platform's or shared: there `https://shop123.tmall.com/` is the only name a store has.
pub(super) fn canonical(value: &str, hosts: &Hosts) -> Result<String, FieldError> {
    let url = parsed(&without_entities(value)?)?;
    if url.fragment().is_some_and(|fragment| fragment.starts_with(['/', '!'])) {
        return Err(refused(
            KIND,
            "URL_FRAGMENT_ROUTE",
            "the page is named after the #, which says nothing outside this site; give the seller's own page or account",
        ));
    }
    let mut url = plain(url).ok_or_else(not_a_url)?;
    let query = url.query().map(without_tracking).filter(|query| !query.is_empty());
    url.set_query(query.as_deref());
    if url.path() == "/" && url.query().is_none() {
        store_of_a_host(&url, hosts)?;
    }
    Ok(url.into())
}

/// Decoded until nothing is left to decode: what was escaped twice is read like what was escaped once.
///
/// A reference that is not ended is refused: its `#` would begin the fragment, and with the fragment would go what tells one
/// page from the other. Each round makes the text shorter, so there is a last one.
fn without_entities(value: &str) -> Result<String, FieldError> {
    let mut value = value.to_owned();
    while let Some((start, end, character)) = entity(&value)? {
        value.replace_range(start..end, character.encode_utf8(&mut [0; 4]));
    }
    Ok(value)
}

/// The first reference to a character, from where to where, and what it stands for.
fn entity(value: &str) -> Result<Option<(usize, usize, char)>, FieldError> {
    for (start, _) in value.match_indices('&') {
        let rest = &value[start..];
        if let Some((name, character)) = ENTITIES.iter().find(|(name, _)| rest.starts_with(name)) {
            return Ok(Some((start, start + name.len(), *character)));
        }
        if let Some((length, character)) = numeric(rest) {
            let character = character.filter(|c| !c.is_control()).ok_or_else(|| {
                refused(
                    KIND,
                    "URL_ESCAPED",
                    "it was written as HTML in a way that cannot be read; give the URL as a browser shows it",
                )
            })?;
            return Ok(Some((start, start + length, character)));
        }
    }
    Ok(None)
}

/// A numeric reference (HTML, 13.2.5.80) at the start of `text`: its length and what it stands for, `None` for what is no
/// character or has no end.
fn numeric(text: &str) -> Option<(usize, Option<char>)> {
    let digits = text.strip_prefix("&#")?;
    let (digits, radix) = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    if number.is_empty() {
        return None;
    }
    let length = text.len() - rest.len() + 1;
    let character = u32::from_str_radix(number, radix).ok().and_then(char::from_u32);
    Some((length, character.filter(|_| rest.starts_with(';'))))
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
    let is_function = |label: &str| FUNCTION_HOSTS.contains(&label);
    // Below a shared host a tenant may have called itself so.
    let everybody = match refusal.code {
        "DOMAIN_IS_PLATFORM" => store.split_terminator('.').all(is_function),
        _ => matches!(store, "" | "www." | "m."),
    };
    if everybody {
        return Err(refused(KIND, refusal.code, "this is not a seller's site; give the URL of the seller's page"));
    }
    Ok(())
}

fn not_a_url() -> FieldError {
    invalid(KIND, "this is no URL; give one page's address such as https://shop.example/item/1")
}
