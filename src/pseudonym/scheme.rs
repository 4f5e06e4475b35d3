use crate::domain::{FieldError, IdentifierKind};

use super::canonical::{invalid, refused};
use super::{country, email, phone, text};

/// Bytes of a name or number under a scheme.
const MAX_VALUE_BYTES: usize = 256;
/// Countries of the VAT scheme beside ISO 3166-1: Greece, Northern Ireland and the one-stop shop (EU VAT numbers).
const VAT_PREFIXES: &[&str] = &["EL", "XI", "EU"];

/// How the values of one scheme are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A name in which case does not count.
    Word,
    /// The same, where a leading `@` or `$` is only a way of writing it.
    Handle,
    /// A handle, or a phone number that begins with `+`.
    HandleOrPhone,
    /// A name in which case counts.
    Exact,
    /// So many digits.
    Digits(usize, usize),
    /// E.164.
    Phone,
    /// An e-mail address.
    Email,
    /// An e-mail address where there is an `@`, else a phone number.
    PhoneOrEmail,
    /// Alipay: its 16-digit account number, else a phone number or e-mail address.
    Alipay,
    /// An e-mail address where there is an `@` inside, else a name in which case does not count.
    EmailOrWord,
    /// An address of an EVM chain: 20 bytes in hexadecimal. The case in it is only a checksum (ERC-55).
    Evm,
    /// An address of Bitcoin: bech32 (BIP 173, one case only) or base58.
    Bitcoin,
    /// An address in base58 of this length.
    Base58(usize, usize),
}

/// Schemes of `messaging_account`, sorted. One service has one name here, so that an account has one form.
const MESSAGING: &[(&str, Rule)] = &[
    ("bilibili", Rule::Word),
    ("bluesky", Rule::Handle),
    ("discord", Rule::Handle),
    ("douyin", Rule::Word),
    ("facebook", Rule::Handle),
    ("instagram", Rule::Handle),
    ("kakaotalk", Rule::Word),
    ("kuaishou", Rule::Word),
    ("line", Rule::Word),
    ("pinterest", Rule::Handle),
    ("qq", Rule::Digits(5, 12)),
    ("reddit", Rule::Handle),
    ("signal", Rule::Phone),
    ("skype", Rule::Word),
    ("snapchat", Rule::Handle),
    ("telegram", Rule::HandleOrPhone),
    ("threads", Rule::Handle),
    ("tiktok", Rule::Handle),
    ("viber", Rule::Phone),
    ("vk", Rule::Handle),
    ("wechat", Rule::Word),
    ("weibo", Rule::Handle),
    ("whatsapp", Rule::Phone),
    ("x", Rule::Handle),
    ("xianyu", Rule::Word),
    ("xiaohongshu", Rule::Word),
    ("youtube", Rule::Handle),
    ("zalo", Rule::Phone),
];

/// Schemes of `payment_account`, sorted. `eth` stands for every EVM chain: an address there is the same account on all.
const PAYMENT: &[(&str, Rule)] = &[
    ("airwallex", Rule::EmailOrWord),
    ("alipay", Rule::Alipay),
    ("btc", Rule::Bitcoin),
    ("cashapp", Rule::Handle),
    ("eth", Rule::Evm),
    ("gcash", Rule::Phone),
    ("lianlian", Rule::EmailOrWord),
    ("momo", Rule::Phone),
    ("payoneer", Rule::EmailOrWord),
    ("paypal", Rule::Email),
    ("paytm", Rule::Phone),
    ("pingpong", Rule::EmailOrWord),
    ("revolut", Rule::Handle),
    ("skrill", Rule::Email),
    ("sol", Rule::Base58(32, 44)),
    ("stripe", Rule::Exact),
    ("trx", Rule::Base58(34, 34)),
    ("upi", Rule::Word),
    ("venmo", Rule::Handle),
    ("wechat-pay", Rule::Word),
    ("wise", Rule::EmailOrWord),
    ("worldfirst", Rule::EmailOrWord),
    ("zelle", Rule::PhoneOrEmail),
];

/// `scheme:value` of a messenger or social network.
pub(super) fn messaging(value: &str, region: &str) -> Result<String, FieldError> {
    by_table(IdentifierKind::MessagingAccount, MESSAGING, value, region)
}

/// `scheme:value` of a payment service or chain.
pub(super) fn payment(value: &str, region: &str) -> Result<String, FieldError> {
    by_table(IdentifierKind::PaymentAccount, PAYMENT, value, region)
}

/// `vat:` with a country's prefix, or a country's code with its national number.
pub(super) fn tax(value: &str) -> Result<String, FieldError> {
    const KIND: IdentifierKind = IdentifierKind::TaxId;
    let (scheme, number) = split(KIND, value)?;
    let number: String = text::upper(&number).chars().filter(|&c| !text::is_filler(c) && !matches!(c, '.' | '/')).collect();
    if !text::is_alphanumeric(&number, 32) {
        return Err(invalid(KIND, "give scheme:number, the number as up to 32 letters and digits"));
    }
    let prefix = number.get(..2).unwrap_or_default();
    match scheme.as_str() {
        "vat" if is_vat_prefix(prefix) && number.len() > 3 => {}
        "vat" => {
            return Err(invalid(KIND, "a VAT number begins with the two letters of its country, EL for Greece; give them"));
        }
        _ if !country::exists(&scheme.to_ascii_uppercase()) => {
            return Err(refused(
                KIND,
                "SCHEME_UNKNOWN",
                "give vat:number or an ISO 3166-1 alpha-2 country code, such as de:number",
            ));
        }
        // The same number under two schemes would be two identifiers.
        _ if prefix.eq_ignore_ascii_case(&scheme) => {
            return Err(invalid(
                KIND,
                "a number that begins with its country's letters is a VAT number; give it as vat:number",
            ));
        }
        _ => {}
    }
    Ok(format!("{scheme}:{number}"))
}

/// Greece writes EL before its VAT numbers, not its ISO code.
fn is_vat_prefix(prefix: &str) -> bool {
    prefix != "GR" && (VAT_PREFIXES.contains(&prefix) || country::exists(prefix))
}

fn by_table(kind: IdentifierKind, table: &[(&str, Rule)], value: &str, region: &str) -> Result<String, FieldError> {
    let (scheme, value) = split(kind, value)?;
    let &(scheme, rule) = table.iter().find(|(name, _)| *name == scheme).ok_or_else(|| {
        let known: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        refused(
            kind,
            "SCHEME_UNKNOWN",
            format_args!("no scheme of this name; give scheme:value with one of {}", known.join(", ")),
        )
    })?;
    let form = rule.form(kind, scheme, &value, region)?;
    Ok(format!("{scheme}:{form}"))
}

/// Scheme in lower case and value in NFKC, each without the blanks around it.
fn split(kind: IdentifierKind, value: &str) -> Result<(String, String), FieldError> {
    let value = text::nfkc(value);
    let (scheme, rest) =
        value.split_once(':').ok_or_else(|| invalid(kind, "give scheme:value, with the service before the colon"))?;
    let bare = |part: &str| part.trim_matches(text::is_blank).to_owned();
    Ok((bare(scheme).to_ascii_lowercase(), bare(rest)))
}

impl Rule {
    fn form(self, kind: IdentifierKind, scheme: &str, value: &str, region: &str) -> Result<String, FieldError> {
        let form = match self {
            Self::Phone => return phone::canonical(kind, value, region),
            Self::Email => return email::canonical(kind, value),
            Self::HandleOrPhone if value.starts_with('+') => return phone::canonical(kind, value, region),
            Self::PhoneOrEmail | Self::Alipay | Self::EmailOrWord if value.contains('@') => {
                return email::canonical(kind, value);
            }
            Self::Alipay => match alipay_number(value) {
                Some(number) => Some(number),
                None => return phone::canonical(kind, value, region),
            },
            Self::PhoneOrEmail => return phone::canonical(kind, value, region),
            Self::Word | Self::EmailOrWord => word(&text::lower(value)),
            Self::Handle | Self::HandleOrPhone => word(text::lower(value).trim_start_matches(['@', '$'])),
            Self::Exact => word(value),
            Self::Digits(least, most) => digits(value, least, most),
            Self::Evm => evm(value),
            Self::Bitcoin => bitcoin(value),
            Self::Base58(least, most) => base58(value, least, most),
        };
        form.ok_or_else(|| invalid(kind, format_args!("this is no account of {scheme}; give {scheme}:{}", self.shape())))
    }

    /// What to give, for a refusal.
    fn shape(self) -> &'static str {
        match self {
            Self::Word | Self::Exact => "id, the id without blanks and not as a link",
            Self::Handle | Self::HandleOrPhone => "name, the account's name without blanks and not as a link",
            Self::Digits(..) => "number, the number as digits only",
            Self::Phone => "number, a phone number with + and country code",
            Self::Email => "address, an e-mail address",
            Self::PhoneOrEmail | Self::Alipay => "number or address, a phone number with + or an e-mail address",
            Self::EmailOrWord => "id or address, the customer id without blanks or the e-mail address",
            Self::Evm => "address, 0x and 40 hexadecimal digits",
            Self::Bitcoin | Self::Base58(..) => "address, copied whole: upper and lower case count",
        }
    }
}

/// Letters and digits with what ids have between them. No slash: a link is not an id, and one account would have two forms.
/// No `+` in front: that begins a phone number.
fn word(value: &str) -> Option<String> {
    let fits = (1..=MAX_VALUE_BYTES).contains(&value.len());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '+' | '#' | ':');
    (fits && !value.starts_with('+') && value.contains(char::is_alphanumeric) && value.chars().all(plain))
        .then(|| value.to_owned())
}

fn digits(value: &str, least: usize, most: usize) -> Option<String> {
    let value = text::packed(value);
    ((least..=most).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit())).then_some(value)
}

/// The partner or user number that Alipay gives out: 16 digits from 2088. No country's phone numbers are that long.
fn alipay_number(value: &str) -> Option<String> {
    digits(value, 16, 16).filter(|number| number.starts_with("2088"))
}

fn evm(value: &str) -> Option<String> {
    let value = value.to_ascii_lowercase();
    let hex = value.strip_prefix("0x")?;
    (hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then_some(value)
}

fn bitcoin(value: &str) -> Option<String> {
    let lower = value.to_ascii_lowercase();
    if !lower.starts_with("bc1") {
        return base58(value, 26, 35).filter(|address| address.starts_with(['1', '3']));
    }
    let one_case = value == lower || value == lower.to_ascii_uppercase();
    (one_case && (14..=90).contains(&lower.len()) && lower.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(lower)
}

fn base58(value: &str, least: usize, most: usize) -> Option<String> {
    let in_alphabet = |b: u8| b.is_ascii_alphanumeric() && !b"0OIl".contains(&b);
    ((least..=most).contains(&value.len()) && value.bytes().all(in_alphabet)).then(|| value.to_owned())
}
