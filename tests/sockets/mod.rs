//! The main job on one real gateway on its embedded store, by the official client, `/ws` and REST.
