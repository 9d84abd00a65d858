//! Namespaces of a zone that may come from elsewhere, or be handed out.

bitflags::bitflags! {
    /// Kinds of namespaces. Where several descriptors of them are sent they are in the order of the bits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Kinds: u32 {
        /// Network interfaces, addresses, routes.
        const NET = 1;
        /// System V IPC and POSIX message queues.
        const IPC = 2;
        /// The monotonic clock and that since boot.
        const TIME = 4;
        /// The host name.
        const UTS = 8;
    }
}

/// Where the namespace of one kind comes from in which a zone runs. A number stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// Makes a new one that belongs to the zone's user namespace, or takes the one made ahead for it.
    New = 1,
    /// Takes the one whose descriptor comes with the request.
    Given = 2,
    /// Takes the one of zsched, which is the host's.
    None = 3,
}

/// Where the namespaces of a zone come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origins {
    /// Of the network.
    pub net: Origin,
    /// Where the IPC namespace comes from.
    pub ipc: Origin,
    /// Of the clocks.
    pub time: Origin,
    /// Of the host name; with [`Origin::None`] it is not set.
    pub uts: Origin,
}

impl Default for Origins {
    /// What a zone has of before protocol 3: all new, and the host's clocks.
    fn default() -> Self {
        Self { net: Origin::New, ipc: Origin::New, time: Origin::None, uts: Origin::New }
    }
}

impl Origins {
    /// The four kinds in the order of their bits.
    #[must_use]
    pub fn each(&self) -> [(Kinds, Origin); 4] {
        [(Kinds::NET, self.net), (Kinds::IPC, self.ipc), (Kinds::TIME, self.time), (Kinds::UTS, self.uts)]
    }

    /// The kinds whose descriptors come with the request.
    #[must_use]
    pub fn given(&self) -> Kinds {
        self.each().into_iter().filter(|(_, origin)| *origin == Origin::Given).map(|(kind, _)| kind).collect()
    }

    /// A byte for each kind; zero is what it was before there was a choice.
    pub(super) fn encode(self) -> [u8; 4] {
        let (mut bytes, usual) = ([0; 4], Self::default().each());
        for (byte, ((_, origin), (_, usual))) in bytes.iter_mut().zip(self.each().into_iter().zip(usual)) {
            *byte = if origin == usual { 0 } else { origin as u8 };
        }
        bytes
    }

    /// `None` for a number that means nothing.
    pub(super) fn decode(bytes: [u8; 4]) -> Option<Self> {
        let usual = Self::default();
        let one = |byte, usual| {
            let known = [Origin::New, Origin::Given, Origin::None];
            if byte == 0 { Some(usual) } else { known.into_iter().find(|origin| *origin as u8 == byte) }
        };
        let [net, ipc, time, uts] = bytes;
        let (net, ipc) = (one(net, usual.net)?, one(ipc, usual.ipc)?);
        Some(Self { net, ipc, time: one(time, usual.time)?, uts: one(uts, usual.uts)? })
    }
}
