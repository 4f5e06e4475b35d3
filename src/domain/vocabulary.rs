/// A closed list of words, each with the number that stands for it in signed bytes and the text that stands for it in files
/// and on the command line. Numbers and texts are never given anew.
macro_rules! vocabulary {
    (
        $(#[$doc:meta])*
        $name:ident, $field:literal, $code:literal;
        $($(#[$word_doc:meta])* $word:ident = $number:literal, $text:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum $name {
            $($(#[$word_doc])* $word = $number,)+
        }

        impl $name {
            /// Every word, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// The number in the proto and in entries; never 0.
            #[must_use]
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// The word with this number, or `None`.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$word),)+
                    _ => None,
                }
            }

            /// The text in files, on the command line and in answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::FieldError;

            /// Reads the text, with `-` or `_` between its words.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let joined = |byte| if byte == b'-' { b'_' } else { byte };
                let same = |word: &str| word.bytes().map(joined).eq(text.bytes().map(joined));
                Self::ALL.iter().copied().find(|word| same(word.as_str())).ok_or_else(|| {
                    let words: Vec<&str> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    $crate::domain::FieldError::new($code, $field, format!("give one of {}", words.join(", ")))
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::FieldError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for &'static str {
            fn from(word: $name) -> Self {
                word.as_str()
            }
        }
    };
}
pub(super) use vocabulary;
