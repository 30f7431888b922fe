//! Cache layer.
