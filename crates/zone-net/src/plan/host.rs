//! What the host has of the network.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::PlanError;
use crate::names;
use crate::rt::{Address, Link, Route, Socket};
use crate::spec::{Lower, Mode, NetSpec, NetworkSpec};

/// The links, addresses and routes of the host, as they were when it was looked, as far as a plan asks for them.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Its links: all of them, or those that have addresses.
    pub links: Vec<Link>,
    /// The addresses of its links.
    pub addresses: Vec<Address>,
    /// Its routes, of all tables, if a link of its own moves into a zone.
    pub routes: Vec<Route>,
}

impl Host {
    /// Looks at the network namespace of the caller, for a zone that asks for this. A host of many zones has many links:
    /// for a zone that names none of the host's they are not listed.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn look(spec: &NetworkSpec) -> Result<Self, PlanError> {
        /// So many links are asked for one by one, more are listed.
        const FEW: usize = 16;
        let mut socket = Socket::here()?;
        let addresses = socket.addresses(None)?;
        let of_links: BTreeSet<u32> = addresses.iter().map(|address| address.link).collect();
        let named = spec.nets.iter().any(|net| net.lower != Lower::Managed);
        let links = if named || of_links.len() > FEW {
            socket.links()?
        } else {
            let links = of_links.into_iter().filter_map(|index| socket.link(index).transpose());
            links.collect::<Result<_, _>>()?
        };
        let moves = |net: &NetSpec| net.lower == Lower::None || net.mode == Some(Mode::Physical);
        let routes = if spec.nets.iter().any(moves) { socket.routes()? } else { Vec::new() };
        Ok(Self { links, addresses, routes })
    }

    /// Adds links that are going to be back, unless there are such already.
    pub fn expect(&mut self, links: impl IntoIterator<Item = Link>) {
        for link in links {
            if self.find(&link.name).is_err() {
                self.links.push(link);
            }
        }
    }

    /// Finds a link by its name or an alternative one.
    ///
    /// # Errors
    /// [`PlanError::NoLink`], with those that there are.
    pub fn find(&self, name: &str) -> Result<&Link, PlanError> {
        let is = |link: &&Link| link.name == name || link.altnames.iter().any(|other| other == name);
        self.links.iter().find(is).ok_or_else(|| PlanError::NoLink {
            name: name.to_owned(),
            there: self
                .links
                .iter()
                .filter(|link| !link.loopback && !names::is_of_a_zone(&link.name))
                .map(|link| link.name.clone())
                .collect(),
        })
    }

    /// Finds a link by its index.
    #[must_use]
    pub fn by_index(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// Finds the link that has an address.
    #[must_use]
    pub fn owner_of(&self, ip: IpAddr) -> Option<&Link> {
        let address = self.addresses.iter().find(|address| address.net.addr() == ip)?;
        self.by_index(address.link)
    }

    /// Lists the prefixes of the networks that a link is in, without link-local ones.
    #[must_use]
    pub fn prefixes(&self, index: u32) -> Vec<IpNet> {
        let of_link = self.addresses.iter().filter(|address| address.link == index);
        let local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        of_link.filter(|address| !local(address.net.addr())).map(|address| address.net).collect()
    }

    /// Tells whether the host's own way out is by a link.
    #[must_use]
    pub fn has_default_route(&self, index: u32) -> bool {
        self.routes.iter().any(|route| route.link == Some(index) && route.destination.prefix_len() == 0)
    }
}
