//! The word that ends what a guest was told to do.

/// What the guest says when it has done what it was told.
pub(super) const MARK: &str = "@@END@@";
