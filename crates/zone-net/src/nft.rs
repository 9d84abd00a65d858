//! Rules: nf_tables through netlink, in transactions.
