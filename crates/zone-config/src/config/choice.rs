//! The properties whose values are one of a few words.

use super::record::choices;

choices! {
    /// Whose network stack a zone has.
    pub enum IpType {
        /// Its own, which its root may configure.
        Exclusive = "exclusive",
        /// Its own, which only the host configures.
        Shared = "shared",
    }
}

choices! {
    /// How much of its root a zone can write, by Solaris' names.
    pub enum MacProfile {
        /// All of it.
        None = "none",
        /// Its data and most of its configuration.
        Flexible = "flexible-configuration",
        /// Its data.
        Fixed = "fixed-configuration",
        /// Nothing of the root can be written.
        Strict = "strict",
    }
}

choices! {
    /// Since when the clocks of a zone run.
    pub enum Uptime {
        /// Since the machine was booted.
        Host = "host",
        /// Since the zone was booted.
        Zone = "zone",
    }
}

choices! {
    /// When a zone boots, among those that boot with the host.
    pub enum BootPriority {
        /// Before all others.
        High = "high",
        /// After those of high priority.
        Normal = "normal",
        /// After all others.
        Low = "low",
    }
}

choices! {
    /// What is waited for of a zone that boots with the host.
    pub enum BootWait {
        /// That its init is started.
        Started = "started",
        /// That it is ready.
        Ready = "ready",
    }
}

choices! {
    /// What becomes of a zone when the host goes down.
    pub enum Autoshutdown {
        /// Its init is asked to shut down, and has `shutdown-timeout` for it.
        Shutdown = "shutdown",
        /// It is halted.
        Halt = "halt",
    }
}

choices! {
    /// How a net is attached to the host.
    pub enum NetMode {
        /// As what it is attached to has it.
        Auto = "auto",
        /// By a veth pair to a bridge.
        Bridge = "bridge",
        /// By a veth pair and routes of the host.
        Routed = "routed",
        /// By a macvlan on a link of the host.
        Macvlan = "macvlan",
        /// By an ipvlan on a link of the host.
        Ipvlan = "ipvlan",
        /// By a link of the host that moves in.
        Physical = "physical",
    }
}

choices! {
    /// The types of file system that a zone can have.
    pub enum FsType {
        /// A directory or file of the host (a bind mount).
        Lofs = "lofs",
        /// A file system of its own in memory (tmpfs(5)).
        Tmpfs = "tmpfs",
        /// On a disk or in an image, as ext4(5), which also is that of ext2 and ext3.
        Ext4 = "ext4",
        /// On a disk or in an image, as xfs(5).
        Xfs = "xfs",
        /// On a disk or in an image, as btrfs(5).
        Btrfs = "btrfs",
        /// On a disk or in an image, as DOS and cameras have it.
        Vfat = "vfat",
        /// On a disk or in an image, as CDs have it.
        Iso9660 = "iso9660",
        /// Directories of the host one above the other (overlayfs).
        Overlay = "overlay",
        /// A directory of a server, as nfs(5) of version 4.
        Nfs = "nfs",
    }
}

choices! {
    /// Whose the files of a file system of the host are in a zone.
    pub enum FsOwners {
        /// Those of the zone's ids with the same numbers: what is root's on disk is the zone's root's.
        Map = "map",
        /// Those of the host's ids, who are nobody in the zone.
        Host = "host",
    }
}

choices! {
    /// What the value of an `attr` looks like.
    pub enum AttrType {
        /// Any text.
        String = "string",
        /// A whole number.
        Int = "int",
        /// A whole number, not negative.
        Uint = "uint",
        /// `true` or `false`.
        Boolean = "boolean",
    }
}
