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
/// If several outputs would be standard output or one file, a file cannot be written, or it would
/// replace one of the `inputs`.
pub fn check(json: bool, files: &[&Option<PathBuf>], inputs: &[PathBuf]) -> Result<bool, Failure> {
    let files = files.iter().filter_map(|file| file.as_deref());
    let (stdout, files): (Vec<&Path>, Vec<&Path>) = files.partition(|path| is_stdio(path));
    if stdout.len() + usize::from(json) > 1 {
        let text = "only one of --json and the files can be standard output";
        return Err(Failure::Usage(text.to_owned()));
    }
    let inputs: Vec<Place> = inputs.iter().filter_map(|input| place(input)).collect();
    let mut outputs: Vec<(&Path, Place)> = Vec::new();
    for path in files {
        // What is written to a device or a pipe replaces nothing.
        if let Some(place) = place(path) {
            let is_input = inputs.iter().any(|input| input.is_same(&place));
            let earlier = outputs.iter().find(|(_, other)| other.is_same(&place));
            let clash = match earlier {
                _ if is_input => Some("is one of the logs, which it would replace".to_owned()),
                Some((other, _)) => Some(format!("is the same file as {}", other.display())),
                None => None,
            };
            if let Some(clash) = clash {
                let text = format!("the output {} {clash}", path.display());
                return Err(Failure::Usage(text));
            }
            outputs.push((path, place));
        }
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
        return stdio::write_quoting(bytes);
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

/// Where a regular file is, or will be.
#[derive(Debug)]
pub struct Place {
    /// Without links.
    path: PathBuf,
    /// Equal for all names of a file; `None` if it does not exist yet, or the system has no such
    /// numbers.
    id: Option<(u64, u64)>,
}

impl Place {
    /// Whether both are one file.
    pub fn is_same(&self, other: &Self) -> bool {
        self.path == other.path || (self.id.is_some() && self.id == other.id)
    }
}

/// The place of a file, or of what `-` reads as an input; `None` for a device, a pipe or a folder.
pub fn place(path: &Path) -> Option<Place> {
    let path = if is_stdio(path) {
        Path::new("/dev/stdin")
    } else {
        path
    };
    let Ok(data) = fs::metadata(path) else {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let path = folder.canonicalize().ok()?.join(path.file_name()?);
        return Some(Place { path, id: None });
    };
    let path = path.canonicalize().ok()?;
    let id = identity(&data);
    data.is_file().then_some(Place { path, id })
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems have no such numbers"
)]
fn identity(data: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((data.dev(), data.ino()))
}

#[cfg(not(unix))]
const fn identity(_: &fs::Metadata) -> Option<(u64, u64)> {
    None
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
