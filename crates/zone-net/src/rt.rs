//! Links, addresses, routes and neighbours: rtnetlink(7).
