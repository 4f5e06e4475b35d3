use super::vocabulary::vocabulary;

vocabulary! {
    /// The summary of a check.
    ///
    /// [`Verdict::Confirmed`] where a live signal that matches by a strong identifier rests on conclusive evidence; else
    /// [`Verdict::Alleged`] where any live signal matches by a strong identifier; else [`Verdict::NoneKnown`]. Numbers do not
    /// turn allegations into a confirmation: members copy each other's lists.
    Verdict, "verdict", "VERDICT_UNKNOWN";
    /// No live signal matches by a strong identifier.
    NoneKnown = 1, "none_known";
    /// Flagged, without conclusive evidence.
    Alleged = 2, "alleged";
    /// Flagged on conclusive evidence.
    Confirmed = 3, "confirmed";
}
