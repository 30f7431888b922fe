//! Sessions that lose nothing and leak nothing: a tower layer that loads, keeps and ends them.
