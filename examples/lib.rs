//! Examples live beside this file, one per question; see the README for the index.
