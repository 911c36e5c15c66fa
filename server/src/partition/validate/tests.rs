//! Cases for the batch checks.
