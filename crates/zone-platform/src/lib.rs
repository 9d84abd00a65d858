//! The virtual platform: everything that is built around a zone before its init runs
#![forbid(unsafe_code)]
