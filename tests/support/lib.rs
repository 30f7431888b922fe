//! Support shared by the tests: real servers started on free ports, and probes for tower's laws.
