//! A certification authority of a test's own, and a certificate by it for this machine. Made by the `openssl` command, as
//! an operator would; knows no server.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::leash::{scratch, tool};

/// Which names the certificate is for.
const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1";

/// The files, which live as long as this value.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes them.
    pub fn make() -> Self {
        let made = Self(scratch("certificates"));
        let ca = [
            "-subj",
            "/CN=hobnob test CA",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
        ];
        made.request("ca", &ca);
        let (by, key) = (made.ca(), made.file("ca.key"));
        let signed = [
            "-CA",
            by.to_str().expect("a plain path"),
            "-CAkey",
            key.to_str().expect("a plain path"),
        ];
        let server = [
            "-subj",
            "/CN=localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            NAMES,
        ];
        made.request("server", &[&signed[..], &server].concat());
        made
    }

    /// Makes a key, and a certificate signed by itself unless the arguments say otherwise.
    fn request(&self, name: &str, arguments: &[&str]) {
        let made = Command::new(tool("openssl"))
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .arg("-keyout")
            .arg(self.file(&format!("{name}.key")))
            .arg("-out")
            .arg(self.file(&format!("{name}.pem")))
            .args(arguments)
            .output()
            .expect("openssl runs");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The authority's certificate: what clients believe in.
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The server's.
    pub fn certificate(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// Its key.
    pub fn key(&self) -> PathBuf {
        self.file("server.key")
    }
}
