//! What the columns of a row are called, in CSV and JSON alike.

use crate::domain::{FieldError, IdentifierKind};

/// A field of a row beside its identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The submitter's own name for the signal.
    SubmissionId,
    /// Who may read it.
    Audience,
    /// Country in which national phone numbers of the row are read.
    Region,
    /// What was infringed.
    Infringement,
    /// Whose right it is.
    RightsHolder,
    /// The brand or work.
    Brand,
    /// Pieces of evidence, written `kind[:grade][:sha256[+sha256...]]`, `|` between them.
    Evidence,
    /// Actions taken, `|` between them.
    Actions,
    /// On which platform it was seen.
    Platform,
    /// In which country or subdivision it was seen.
    SeenRegion,
    /// Chapter of the Harmonized System.
    HsChapter,
    /// Class of the Nice classification.
    NiceClass,
    /// GS1 trade item number.
    Gtin,
    /// Goods' value in major units, with a decimal point.
    Amount,
    /// ISO 4217 letters.
    Currency,
    /// Number of pieces.
    Count,
    /// What the goods are known by among members.
    GoodsReference,
    /// Whether they were sold.
    GoodsState,
    /// Day of the observation.
    ObservedOn,
    /// Day of the member's action.
    ActedOn,
    /// Days to keep the signal.
    RetentionDays,
    /// Other members' signals that it was derived from, `|` between them.
    DerivedFrom,
}

impl Field {
    /// Every field, in the order of the documentation.
    pub const ALL: [Self; 22] = [
        Self::SubmissionId,
        Self::Audience,
        Self::Region,
        Self::Infringement,
        Self::RightsHolder,
        Self::Brand,
        Self::Evidence,
        Self::Actions,
        Self::Platform,
        Self::SeenRegion,
        Self::HsChapter,
        Self::NiceClass,
        Self::Gtin,
        Self::Amount,
        Self::Currency,
        Self::Count,
        Self::GoodsReference,
        Self::GoodsState,
        Self::ObservedOn,
        Self::ActedOn,
        Self::RetentionDays,
        Self::DerivedFrom,
    ];

    /// The name in headers and objects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SubmissionId => "submission_id",
            Self::Audience => "audience",
            Self::Region => "region",
            Self::Infringement => "infringement",
            Self::RightsHolder => "rights_holder",
            Self::Brand => "brand",
            Self::Evidence => "evidence",
            Self::Actions => "actions",
            Self::Platform => "platform",
            Self::SeenRegion => "seen_region",
            Self::HsChapter => "hs_chapter",
            Self::NiceClass => "nice_class",
            Self::Gtin => "gtin",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::Count => "count",
            Self::GoodsReference => "goods_reference",
            Self::GoodsState => "goods_state",
            Self::ObservedOn => "observed_on",
            Self::ActedOn => "acted_on",
            Self::RetentionDays => "retention_days",
            Self::DerivedFrom => "derived_from",
        }
    }

    /// The field of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// An error of this field.
    pub(super) fn error(self, code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> FieldError {
        FieldError::new(code, self.as_str(), message)
    }
}

/// A column of a CSV input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Identifiers of one kind, `|` between them.
    Identifier(IdentifierKind),
    /// Anything else.
    Field(Field),
}

impl Column {
    /// The column of that name, in any case, with `-`, `_` or a blank between its words.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        let kind = IdentifierKind::ALL.iter().find(|kind| kind.as_str() == name);
        kind.map(|kind| Self::Identifier(*kind)).or_else(|| Field::named(&name).map(Self::Field))
    }

    /// All names, for the message about an unknown one.
    pub(super) fn known() -> String {
        let kinds = IdentifierKind::ALL.iter().map(|kind| kind.as_str());
        kinds.chain(Field::ALL.iter().map(|field| field.as_str())).collect::<Vec<_>>().join(", ")
    }
}

/// Whether `name` may stand in a message: letters and underscores only, so that it is no domain, number or address, and short.
pub(super) fn may_be_shown(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}
