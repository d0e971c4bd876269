//! Requests by the program curl.

use std::process::Stdio;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::process::Command;

/// The last response that curl has got.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Runs curl, and returns what it prints.
pub(crate) async fn run(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        // Neither the user's settings nor a proxy of the machine.
        .args(["--disable", "--noproxy", "*", "--silent", "--show-error"])
        // A test that hangs ends.
        .args(["--max-time", "60"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("curl is installed: run `bash scripts/real_parts.sh`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Sends one request.
pub(crate) async fn send(arguments: &[&str]) -> Reply {
    let printed = run(&[&["--include"], arguments].concat()).await;
    let (head, body) = printed.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines.next().expect("a status");
    let mut words = status.split(' ');
    let (version, code) = (words.next(), words.next());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a field");
        let name: HeaderName = name.parse().expect("a name");
        let value: HeaderValue = value.trim().parse().expect("a value");
        (name, value)
    });
    Reply {
        version: version.expect("a version").to_owned(),
        status: code.and_then(|code| code.parse().ok()).expect("a number"),
        headers: headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        }),
        body: body.to_owned(),
    }
}

/// Sends a request from an address of the loopback interface.
pub(crate) async fn send_from(client: &str, arguments: &[&str]) -> Reply {
    send(&[&["--interface", client], arguments].concat()).await
}

impl Reply {
    /// Returns a field, which must be there once.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let mut lines = self.headers.get_all(name).iter();
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert_eq!(lines.next(), None, "{name} is repeated");
        line.to_str().expect("ASCII")
    }
}
