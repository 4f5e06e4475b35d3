use std::borrow::Cow;

/// What is wrong with one field of an input.
///
/// The message says what to do and never repeats the value: inputs are identifiers of people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Stable, upper case with underscores; part of the interface.
    pub code: &'static str,
    /// Path within the input, such as `identifiers[0].value`.
    pub field: String,
    /// A sentence for the person who sent it.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// An error of `field` with a stable `code`.
    pub fn new(code: &'static str, field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }

    /// The same error as seen from the message that contains the field: `inside("evidence[2]")` makes `kind` into
    /// `evidence[2].kind`.
    #[must_use]
    pub fn inside(mut self, outer: impl AsRef<str>) -> Self {
        let outer = outer.as_ref();
        self.field = if self.field.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.field) };
        self
    }
}
