//! A real nginx with the configuration of a test.

use core::net::{Ipv4Addr, SocketAddr};
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::installed;
use crate::lifeline::Lifeline;
use crate::ports::free_port;
use crate::wait::until;

/// A server with its own folder. Dropping it kills the server and removes the folder.
#[derive(Debug)]
pub(crate) struct Nginx {
    /// Dropped before the process is reaped.
    lifeline: Option<Lifeline>,
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Nginx {
    /// Starts a server whose context `http` is `config`, where `LISTEN` is its address. Waits until
    /// it accepts connections.
    pub(crate) fn start(config: &str) -> Self {
        // Another program may take the free port before the server does.
        for _ in 0..10 {
            let mut nginx = Self::spawn(config);
            let is_up = until("the server listens", || {
                if nginx.process.try_wait().expect("a child").is_some() {
                    return Some(false);
                }
                TcpStream::connect(nginx.address()).is_ok().then_some(true)
            });
            if is_up {
                return nginx;
            }
            let log = fs::read_to_string(nginx.folder.path().join("log")).unwrap_or_default();
            assert!(log.contains("Address already in use"), "{log}");
        }
        panic!("all ports are taken");
    }

    /// Starts a proxy in front of `app` with these further directives.
    pub(crate) fn proxy(app: SocketAddr, directives: &str) -> Self {
        Self::start(&format!(
            "server {{
                listen LISTEN;
                {directives}
                location / {{ proxy_pass http://{app}; }}
            }}"
        ))
    }

    fn spawn(config: &str) -> Self {
        let folder = TempDir::with_prefix("tidegate-nginx-").expect("a folder");
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let config = config.replace("LISTEN", &listen);
        // One process, so that killing it leaves none behind.
        let config = format!(
            "daemon off; master_process off; pid pid; error_log log;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                client_body_temp_path body; proxy_temp_path proxy;
                fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                {config}
            }}"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).expect("a file");
        // What it says before it has read where its log is.
        let log = File::create(folder.path().join("log")).expect("a file");
        let process = Command::new(installed("nginx-program"))
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nginx runs");
        Self {
            lifeline: Some(Lifeline::of(&process)),
            process,
            port,
            folder,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
