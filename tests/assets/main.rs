//! What the layer for assets promises.

mod bed;
mod builds;
mod serve_dir;
