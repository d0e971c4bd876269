//! Which requests a limit is on.

use http::Request;

use super::{Server, get, refused};

/// Whether a limit with this condition is on a request.
fn is_on(condition: &str, request: http::request::Builder) -> bool {
    let text = format!("limits = [{{ name = 'it', in_flight = 0, {condition} }}]");
    let server = Server::new(&text);
    match server.answer(request, 200) {
        Ok(()) => false,
        refusal => {
            assert_eq!(refusal, refused("it"));
            true
        }
    }
}

#[test]
fn routes_are_those_of_axum() {
    for (route, path, expected) in [
        ("/", "/", true),
        ("/", "/search", false),
        ("/search", "/search", true),
        ("/search", "/search?q=tide", true),
        ("/search", "/search/", false),
        ("/search", "/Search", false),
        ("/search", "//search", false),
        ("/users/{id}", "/users/7", true),
        ("/users/{id}", "/users/7/posts", false),
        ("/users/{id}", "/users/", false),
        ("/users/{id}/posts", "/users/7/posts", true),
        ("/files/{*path}", "/files/a/b/c", true),
        ("/files/{*path}", "/files", false),
        ("/{*path}", "/anything/at/all", true),
    ] {
        let condition = format!("routes = ['{route}']");
        assert_eq!(is_on(&condition, get(path)), expected, "{route} {path}");
        let condition = format!("except_routes = ['{route}']");
        assert_eq!(
            is_on(&condition, get(path)),
            !expected,
            "except {route} {path}"
        );
    }
    assert!(is_on("routes = ['/a', '/b/{c}']", get("/b/1")));
    assert!(!is_on(
        "routes = ['/b/{c}'], except_routes = ['/b/1']",
        get("/b/1")
    ));
}

#[test]
fn methods() {
    let post = || Request::post("/");
    assert!(is_on("methods = ['POST']", post()));
    assert!(is_on("methods = ['PUT', 'POST']", post()));
    assert!(!is_on("methods = ['GET']", post()));
    assert!(is_on(
        "methods = ['PURGE']",
        Request::builder().method("PURGE")
    ));
}

#[test]
fn header_fields() {
    let beta = || get("/").header("x-beta", "1").header("x-beta", "2");
    assert!(is_on("headers = { x-beta = true }", beta()));
    assert!(is_on("headers = { X-Beta = '2' }", beta()));
    assert!(!is_on("headers = { x-beta = '3' }", beta()));
    assert!(!is_on("headers = { x-beta = false }", beta()));
    assert!(is_on("headers = { x-beta = false }", get("/")));
    assert!(!is_on("headers = { x-beta = true }", get("/")));
    assert!(!is_on(
        "headers = { x-beta = true, x-other = true }",
        beta()
    ));
}

#[test]
fn the_host_of_http_2_is_in_the_target() {
    let host = |uri: &str| Request::get(uri);
    let condition = "headers = { host = 'example.org' }";
    assert!(is_on(condition, host("/").header("host", "example.org")));
    assert!(is_on(condition, host("https://example.org/")));
    assert!(!is_on(condition, host("https://example.com/")));
    assert!(!is_on(condition, host("/")));
}

#[test]
fn every_part_must_hold() {
    let condition = "routes = ['/upload'], methods = ['POST'], headers = { x-size = 'big' }";
    let full = || Request::post("/upload").header("x-size", "big");
    assert!(is_on(condition, full()));
    assert!(!is_on(condition, full().method("PUT")));
    assert!(!is_on(condition, full().uri("/")));
    assert!(!is_on(condition, Request::post("/upload")));
}

#[test]
fn exempt_requests_pass_all() {
    let text = "
        exempt = [{ routes = ['/health'] }, { headers = { x-probe = true }, methods = ['GET'] }]
        limits = [
            { name = 'rate', rate = '1/h' },
            { name = 'in flight', in_flight = 1 },
        ]";
    let server = Server::new(text);
    assert_eq!(server.admitted(10, || get("/health")), 10);
    assert_eq!(server.admitted(10, || get("/").header("x-probe", "")), 10);
    assert_eq!(
        server.admitted(10, || Request::post("/").header("x-probe", "")),
        1
    );
}
