//! precondition
