//! What the layer for tokens promises, and where that is tested.

mod bed;
mod fleet;
mod answers;
