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
    /// The same, where a leading `@` or `$` is only a way of writing it. Before digits alone it is more: without it they are
    /// the number that the service gave the account, which another account may have for a name.
    Handle,
    /// Telegram: a handle, which begins with a letter, a user's number, or a phone number that begins with `+`.
    Telegram,
    /// YouTube: a handle, or a channel's id, in which case counts.
    Channel,
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
    ("telegram", Rule::Telegram),
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
    ("youtube", Rule::Channel),
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

const TAX: IdentifierKind = IdentifierKind::TaxId;

/// How the numbers of one tax scheme are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaxShape {
    /// So many digits.
    Digits(usize),
    /// Nine digits from 9.
    Itin,
    /// Nine digits of the business, and an account of it, which is left out: it is the same business.
    CanadianBusiness,
    /// Two letters, six digits, a letter.
    NationalInsurance,
}

/// Tax schemes of countries that give out equal numbers under several, sorted. The German `stnr` is the one form for all
/// Laender: the local forms, which end at different places, repeat from Land to Land.
const TYPED_TAX: &[(&str, TaxShape)] = &[
    ("au-abn", TaxShape::Digits(11)),
    ("au-acn", TaxShape::Digits(9)),
    ("au-tfn", TaxShape::Digits(9)),
    ("ca-bn", TaxShape::CanadianBusiness),
    ("ca-sin", TaxShape::Digits(9)),
    ("de-idnr", TaxShape::Digits(11)),
    ("de-stnr", TaxShape::Digits(13)),
    ("gb-nino", TaxShape::NationalInsurance),
    ("gb-utr", TaxShape::Digits(10)),
    ("kr-brn", TaxShape::Digits(10)),
    ("kr-crn", TaxShape::Digits(13)),
    ("kr-rrn", TaxShape::Digits(13)),
    ("us-ein", TaxShape::Digits(9)),
    ("us-itin", TaxShape::Itin),
    ("us-ssn", TaxShape::Digits(9)),
];
/// Countries that write a slash always at the same place. Elsewhere it parts numbers of any length, and without it two of
/// them may be one.
const SLASH_IS_FILLER: &[&str] = &["at", "br", "cz", "sk"];

/// `scheme:value` of a messenger or social network.
pub(super) fn messaging(value: &str, region: &str) -> Result<String, FieldError> {
    by_table(IdentifierKind::MessagingAccount, MESSAGING, value, region)
}

/// `scheme:value` of a payment service or chain.
pub(super) fn payment(value: &str, region: &str) -> Result<String, FieldError> {
    by_table(IdentifierKind::PaymentAccount, PAYMENT, value, region)
}

/// `vat:` with a country's prefix, the name of one of several schemes of a country, or a country's code where it has one
/// scheme, or several whose numbers cannot be mistaken for each other.
pub(super) fn tax(value: &str) -> Result<String, FieldError> {
    let (scheme, number) = split(TAX, value)?;
    unambiguous(&scheme)?;
    let number: String = text::upper(&number).chars().filter(|&c| !text::is_filler(c) && c != '.').collect();
    let number = if SLASH_IS_FILLER.contains(&scheme.as_str()) { number.replace('/', "") } else { number };
    if !text::is_alphanumeric(&number, 32) {
        return Err(invalid(TAX, "give scheme:number, the number as up to 32 letters and digits, without slashes"));
    }
    let number = match (TYPED_TAX.iter().find(|(name, _)| *name == scheme), scheme.as_str()) {
        (Some((_, shape)), _) => shape.form(&number).ok_or_else(|| invalid(TAX, shape.advice()))?,
        (None, "vat") => vat(number)?,
        (None, country) => national(country, number)?,
    };
    Ok(format!("{scheme}:{number}"))
}

fn vat(number: String) -> Result<String, FieldError> {
    if number.get(..2).is_some_and(is_vat_prefix) && number.len() > 3 {
        return Ok(number);
    }
    Err(invalid(TAX, "a VAT number begins with the two letters of its country, EL for Greece; give them"))
}

/// Refuses a bare country that has several schemes.
fn unambiguous(country: &str) -> Result<(), FieldError> {
    let of_country = |name: &&str| name.split_once('-').is_some_and(|(prefix, _)| prefix == country);
    let typed: Vec<&str> = TYPED_TAX.iter().map(|(name, _)| *name).filter(of_country).collect();
    if typed.is_empty() {
        return Ok(());
    }
    Err(refused(
        TAX,
        "SCHEME_AMBIGUOUS",
        format_args!("in this country one number may be several taxpayers'; say of which scheme it is: {}", typed.join(", ")),
    ))
}

/// The number of a country that has no schemes of its own here.
fn national(country: &str, number: String) -> Result<String, FieldError> {
    if !country::exists(&country.to_ascii_uppercase()) {
        return Err(refused(
            TAX,
            "SCHEME_UNKNOWN",
            "give vat:number, an ISO 3166-1 alpha-2 country code such as fr:number, or a scheme such as us-ein:number",
        ));
    }
    // The same number under two schemes would be two identifiers.
    if number.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case(country)) {
        return Err(invalid(TAX, "a number that begins with its country's letters is a VAT number; give it as vat:number"));
    }
    Ok(number)
}

impl TaxShape {
    fn form(self, number: &str) -> Option<String> {
        let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Digits(count) => (number.len() == count && all_digits(number)).then(|| number.to_owned()),
            Self::Itin => Self::Digits(9).form(number).filter(|number| number.starts_with('9')),
            Self::CanadianBusiness => {
                let (business, account) = number.split_at_checked(9)?;
                let is_account =
                    |a: &str| a.len() == 6 && a.bytes().take(2).all(|b| b.is_ascii_uppercase()) && all_digits(&a[2..]);
                (all_digits(business) && (account.is_empty() || is_account(account))).then(|| business.to_owned())
            }
            Self::NationalInsurance => {
                let shape = |(i, b): (usize, u8)| if (2..8).contains(&i) { b.is_ascii_digit() } else { b.is_ascii_uppercase() };
                (number.len() == 9 && number.bytes().enumerate().all(shape)).then(|| number.to_owned())
            }
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Digits(9) => "a number of this scheme has 9 digits",
            Self::Digits(10) => "a number of this scheme has 10 digits",
            Self::Digits(11) => "a number of this scheme has 11 digits",
            Self::Digits(13) => {
                "a number of this scheme has 13 digits; a German tax number has them in the form that ELSTER uses for all Laender"
            }
            Self::Digits(_) => "a number of this scheme has another count of digits",
            Self::Itin => "a number of this scheme has 9 digits and begins with 9",
            Self::CanadianBusiness => {
                "a business number has 9 digits, and perhaps an account of two letters and four digits after them"
            }
            Self::NationalInsurance => "a national insurance number has two letters, six digits and a letter",
        }
    }
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
            Self::Telegram if value.starts_with('+') => return phone::canonical(kind, value, region),
            Self::PhoneOrEmail | Self::Alipay | Self::EmailOrWord if value.contains('@') => {
                return email::canonical(kind, value);
            }
            Self::Alipay => match alipay_number(value) {
                Some(number) => Some(number),
                None => return phone::canonical(kind, value, region),
            },
            Self::PhoneOrEmail => return phone::canonical(kind, value, region),
            Self::Word | Self::EmailOrWord => word(&text::lower(value)),
            Self::Channel if is_channel_id(value) => Some(value.to_owned()),
            Self::Telegram => handle(value).filter(|name| !name.starts_with('@')),
            Self::Handle | Self::Channel => handle(value),
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
            Self::Handle | Self::Telegram | Self::Channel => "name, the account's name without blanks and not as a link",
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

/// An account's name without its `@` or `$`, unless it is digits alone.
fn handle(value: &str) -> Option<String> {
    let value = text::lower(value);
    let name = value.trim_start_matches(['@', '$']);
    if name.len() < value.len() && name.bytes().all(|b| b.is_ascii_digit()) {
        return word(name).map(|name| format!("@{name}"));
    }
    word(name)
}

/// What YouTube gives out: `UC` and 22 characters of base64url. A handle that looks alike is told by its `@`.
fn is_channel_id(value: &str) -> bool {
    let id = value.strip_prefix("UC").unwrap_or_default();
    id.len() == 22 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
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
