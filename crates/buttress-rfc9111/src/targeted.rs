//! targeted
