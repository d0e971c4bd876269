//! Writes files atomically: to a temporary file in the same folder, which is then renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::stdio::{self, is_stdio};
use crate::failure::Failure;

/// Checks all outputs before a long log is read. Returns whether one of them is standard output.
///
/// # Errors
///
/// If several outputs would be standard output, or a file cannot be written.
pub fn check(json: bool, files: &[&Option<PathBuf>]) -> Result<bool, Failure> {
    let files = files.iter().filter_map(|file| file.as_deref());
    let (stdout, files): (Vec<&Path>, Vec<&Path>) = files.partition(|path| is_stdio(path));
    if stdout.len() + usize::from(json) > 1 {
        let text = "only one of --json and the files can be standard output";
        return Err(Failure::Usage(text.to_owned()));
    }
    for path in files {
        let checked = target(path).and_then(|target| match target {
            Target::File(path) => temporary_file(&path).map(drop),
            Target::Special => Ok(()),
        });
        checked.map_err(|error| Failure::writing(path.display(), &error))?;
    }
    Ok(json || !stdout.is_empty())
}

/// Writes a file, or standard output for `-`.
///
/// # Errors
///
/// If the file cannot be written. Then an existing file is unchanged, and no other file is left.
/// A pipe whose reader has closed is an error too, because the caller asked for a whole file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_stdio(path) {
        return stdio::write(bytes);
    }
    try_write(path, bytes).map_err(|error| Failure::writing(path.display(), &error))
}

fn try_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match target(path)? {
        Target::Special => File::options().write(true).open(path)?.write_all(bytes),
        Target::File(path) => {
            let mut file = temporary_file(&path)?;
            file.write_all(bytes)?;
            // Otherwise a full disk could show only after the rename.
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        }
    }
}

enum Target {
    /// A regular or new file, with links resolved.
    File(PathBuf),
    /// A device or a pipe, which cannot be replaced.
    Special,
}

fn target(path: &Path) -> io::Result<Target> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() => Ok(Target::File(path.canonicalize()?)),
        Ok(data) if data.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(Target::Special),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Target::File(path.to_owned())),
        Err(error) => Err(error),
    }
}

/// Creates a temporary file in the folder of `path`.
fn temporary_file(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    builder.prefix(".tidegate-");
    // The permissions of any new file. The default is only for the owner.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    // The random name in the message follows the number of the error, and `describe` cuts both off.
    builder.tempfile_in(folder)
}
