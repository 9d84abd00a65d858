//! The network of a zone: what its configuration asks for, looked at, built and taken down. What it is made of is
//! `zone-net`'s.

mod asked;

pub(crate) use asked::asked;
