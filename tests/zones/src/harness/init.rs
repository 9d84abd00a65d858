//! Inits for small roots (`Lab::tiny`) that more than one subject needs.

/// One that does nothing, and says nothing.
pub const IDLE: &str = "exec sleep 2147483647";
/// One that says again what it hears on its console, byte by byte.
pub const ECHO: &str = "busybox stty raw -echo; exec cat";
