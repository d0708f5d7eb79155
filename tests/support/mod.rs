//! What the tests need to start, drive and break real servers.
