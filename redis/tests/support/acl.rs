//! Users with the access rights that the crate's documentation names.

use super::server::Server;

/// The arguments of `ACL SETUSER` in the documentation; for a cluster, with the further rights.
pub(crate) fn documented_rights(cluster: bool) -> Vec<&'static str> {
    let docs = include_str!("../../src/lib.rs");
    let after = |start: &str| {
        let (_, rest) = docs.split_once(start).expect("documented rights");
        let (rights, _) = rest.split_once('`').expect("the end of the rights");
        let words = rights.split_whitespace();
        words.filter(|word| *word != "//!")
    };
    let mut rights: Vec<_> = after("`ACL SETUSER ").collect();
    if cluster {
        rights.push("+asking");
        rights.extend(after("`+asking"));
    }
    rights
}

/// Changes the user `tidegate`, whose password is `secret`.
pub(crate) fn set_user(server: &Server, rights: &[&str]) {
    let () = server.query(&[&["ACL", "SETUSER"], rights].concat());
}

/// The server's address for that user.
pub(crate) fn user_url(server: &Server) -> String {
    if server.port().is_some() {
        server.url().replace("//", "//tidegate:secret@")
    } else {
        format!("{}?user=tidegate&pass=secret", server.url())
    }
}
