//! Cache headers for assets and pages, as a tower layer.
