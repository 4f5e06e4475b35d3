//! Two people compare a fingerprint by another way than the file came, such as the telephone. All trust hangs on that, so it is
//! never skipped in silence.

use super::arguments::ComparedArguments;
use super::failure::Failure;
use super::output::Printer;
use crate::alliance::Fingerprint;

/// Goes on once somebody has compared `fingerprint` of `what` with the one that `whom` reads out.
///
/// # Errors
/// Where it is another one, or nobody has compared it.
pub(super) fn compare(
    fingerprint: Fingerprint,
    what: &str,
    whom: &str,
    compared: &ComparedArguments,
    printer: &mut Printer,
) -> Result<(), Failure> {
    printer.note(format_args!("fingerprint of the {what}: {fingerprint}"));
    if let Some(given) = &compared.fingerprint {
        return if same(given, fingerprint) { Ok(()) } else { Err(differs(what, whom)) };
    }
    if compared.yes {
        return Ok(());
    }
    let advice = format!("ask {whom} for the fingerprint by another way than the file came, and give it with --fingerprint");
    if !printer.can_ask() {
        return Err(Failure::new("FINGERPRINT_NOT_COMPARED", "nobody has compared the fingerprint").advise(advice));
    }
    let answer = printer.ask(&format!("Does {whom} read out the same, by another way than the file came? Type yes:"))?;
    if answer == "yes" { Ok(()) } else { Err(differs(what, whom)) }
}

fn differs(what: &str, whom: &str) -> Failure {
    let advice = format!("do not use this file; find out with {whom} who has changed it");
    Failure::new("FINGERPRINT_DIFFERS", format!("the {what} is not confirmed by its fingerprint")).advise(advice)
}

/// Blanks, colons and case are as the person likes.
fn same(given: &str, fingerprint: Fingerprint) -> bool {
    let digits = |text: &str| -> String {
        text.chars().filter(|c| !c.is_whitespace() && *c != ':').map(|c| c.to_ascii_lowercase()).collect()
    };
    digits(given) == digits(&fingerprint.to_string())
}
