//! The secret of a single gateway that was given none: made once and kept in the data directory. Knows the file, not
//! the store beside it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::StartError;
use crate::auth::Secret;
use crate::domain::Entropy;

/// The file's name in the data directory.
const FILE: &str = "jwt-secret";

/// Random bytes of the secret; the file holds them in hexadecimal.
const BYTES: usize = 32;

/// The secret kept in this directory (made, like the directory, when there is none); true when it was made now. Only
/// its owner can read the file.
///
/// # Errors
/// When the directory cannot be used, or the file is damaged.
pub fn generated_secret(data_dir: &Path, entropy: &Entropy) -> Result<(Secret, bool), StartError> {
    let path = data_dir.join(FILE);
    let failed = |error: std::io::Error| {
        StartError::of(
            "data_dir",
            format!("cannot use {}: {error}", path.display()),
        )
    };
    make_directory(data_dir).map_err(failed)?;
    let made = match read_private(&path) {
        Ok(text) => return kept(&text, &path).map(|secret| (secret, false)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(&path, entropy).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    kept(&text, &path).map(|secret| (secret, made))
}

/// Reads the secret, after taking from others what a copy or an archive may have given them.
fn read_private(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn kept(text: &str, path: &Path) -> Result<Secret, StartError> {
    let text = text.trim();
    if text.len() != 2 * BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!(
            "{} is damaged; without it a new one is made, and everybody logs in again",
            path.display()
        );
        return Err(StartError::of("data_dir", message));
    }
    Secret::parse(text).map_err(|error| StartError::of("data_dir", error.to_string()))
}

/// Writes a new secret under a name of its own and links it into place, so that a crash leaves no half of one and of
/// two processes one wins. Returns whether this one did.
fn make(path: &Path, entropy: &Entropy) -> std::io::Result<bool> {
    let mut bytes = [0; BYTES];
    entropy.fill(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = path.with_extension(format!("{:016x}", entropy.next_u64()));
    let linked = write_private(&draft, &digits).and_then(|()| std::fs::hard_link(&draft, path));
    // Whatever happened, the draft is not needed any more; failing to remove it harms nothing.
    let _ = std::fs::remove_file(&draft);
    match linked {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("a/b");
        let (made, new) = generated_secret(&data_dir, &Entropy::seeded(1)).unwrap();
        let open = Permissions::from_mode(0o644);
        std::fs::set_permissions(data_dir.join(FILE), open).unwrap();
        let (kept, again) = generated_secret(&data_dir, &Entropy::seeded(2)).unwrap();
        assert_eq!((new, again), (true, false));
        assert_eq!(made, kept);
        let mode = std::fs::metadata(data_dir.join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&data_dir).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_secret_and_an_unusable_directory_are_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "abc").unwrap();
        let error = generated_secret(directory.path(), &Entropy::seeded(1)).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        let below_a_file = directory.path().join(FILE).join("data");
        let error = generated_secret(&below_a_file, &Entropy::seeded(1)).unwrap_err();
        assert!(error.setting.contains("HOBNOB_DATA_DIR"), "{error}");
    }
}
