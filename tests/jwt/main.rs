//! What the layer for tokens promises, and where that is tested.

mod bed;
mod endpoints;
mod fleet;
mod life;
mod answers;
