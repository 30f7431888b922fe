//! Benches live beside this file, one per claim; `scripts/bench` runs them.
