//! Examples live beside this file, one per question; see the README for the index.

/// Its code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
