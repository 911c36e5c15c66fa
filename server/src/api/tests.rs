//! A broker for this room's and `net`'s tests.
