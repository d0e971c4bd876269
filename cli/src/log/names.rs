//! The names under which logs store what a replay needs.
//!
//! Names are compared without case, `_` and `-`, so `client_ip`, `clientIp` and `Client-IP` are one
//! name. A dot is a step into a nested object. The preferred names come first.

/// When a request began, then when its line was written.
pub const TIME: [&str; 22] = [
    "startutc",
    "starttime",
    "edgestarttimestamp",
    "time",
    "timestamp",
    "ts",
    "@timestamp",
    "timelocal",
    "timeiso8601",
    "msec",
    "datetime",
    "eventtime",
    "startedat",
    "requesttimeepoch",
    "requesttime",
    "startlocal",
    "logtime",
    "createdat",
    "realtimetimestamp",
    "date",
    "ms",
    "responsetime",
];

/// Those of the names above that some logs have for durations.
pub const DURATIONS: [&str; 5] = ["time", "requesttime", "date", "ms", "responsetime"];

/// A day, beside a time without one.
pub const DATE: [&str; 1] = ["date"];

/// The client or, where it connected through a proxy, the peer. Names that say `client` come before
/// those of the connection, because a server that writes both has already looked behind its proxy.
pub const PEER: [&str; 43] = [
    "clientip",
    "request.clientip",
    "clienthost",
    "clientaddr",
    "client.ip",
    "client.address",
    "httprequest.clientip",
    "properties.clientip",
    "properties.clientipaddress",
    "clientipaddress",
    "cip",
    "remoteaddr",
    "remoteip",
    "request.remoteip",
    "request.remoteaddr",
    "request.ip",
    "httprequest.remoteip",
    "source.ip",
    "source.address",
    "downstreamremoteaddress",
    "downstreamdirectremoteaddress",
    "remoteaddress",
    "remotehost",
    "req.ip",
    "req.remoteaddress",
    "req.remoteaddr",
    "requestcontext.identity.sourceip",
    "requestcontext.http.sourceip",
    "identity.sourceip",
    "sourceipaddress",
    "sourceip",
    "srcip",
    "srcaddr",
    "jsonpayload.remoteip",
    "peeraddr",
    "realipremoteaddr",
    "network.client.ip",
    "http.clientip",
    "client",
    "remote",
    "peer",
    "ipaddress",
    "ip",
];

/// Those of the names above that say nothing but that a connection came from the address. It may be
/// that of a proxy.
pub const CONNECTION: [&str; 9] = [
    "remoteaddr",
    "remoteip",
    "request.remoteip",
    "request.remoteaddr",
    "remoteaddress",
    "remotehost",
    "req.remoteaddress",
    "req.remoteaddr",
    "peeraddr",
];

/// Those of the names above that may be the address of the server, too.
pub const ANY_ADDRESS: [&str; 2] = ["ipaddress", "ip"];

/// The addresses that proxies forwarded.
pub const FORWARDED: [&str; 23] = [
    "xforwardedfor",
    "httpxforwardedfor",
    "proxyaddxforwardedfor",
    "request.headers.xforwardedfor",
    "requestxforwardedfor",
    "req.headers.xforwardedfor",
    "headers.xforwardedfor",
    "request.xforwardedfor",
    "cs(xforwardedfor)",
    "forwardedfor",
    "xff",
    "sourceips",
    "httpforwarded",
    "forwarded",
    "request.headers.forwarded",
    "network.forwardedip",
    "xrealip",
    "httpxrealip",
    "realip",
    "cfconnectingip",
    "httpcfconnectingip",
    "trueclientip",
    "httptrueclientip",
];

/// A whole line of another log, as containers and the journal store it.
pub const MESSAGE: [&str; 3] = ["log", "message", "msg"];

/// The path of the request.
pub const PATH: [&str; 18] = [
    "path",
    "uri",
    "requesturi",
    "requestpath",
    "url.path",
    "request.uri",
    "request.path",
    "originalpath",
    "csuristem",
    "csuri",
    "clientrequestpath",
    "clientrequesturi",
    "httprequest.requesturl",
    "httprequest.uri",
    "url",
    "req.url",
    "request",
    "requestline",
];

/// The user.
pub const USER: [&str; 9] = [
    "user",
    "remoteuser",
    "username",
    "user.name",
    "userid",
    "clientusername",
    "csusername",
    "request.userid",
    "requester",
];

/// The agent.
pub const AGENT: [&str; 13] = [
    "useragent",
    "httpuseragent",
    "agent",
    "useragent.original",
    "httprequest.useragent",
    "request.headers.useragent",
    "requestuseragent",
    "req.headers.useragent",
    "headers.useragent",
    "cs(useragent)",
    "clientrequestuseragent",
    "requestcontext.identity.useragent",
    "ua",
];

/// The status of the response.
const STATUS: [&str; 18] = [
    "status",
    "statuscode",
    "responsecode",
    "responsestatus",
    "downstreamstatus",
    "edgeresponsestatus",
    "elbstatuscode",
    "scstatus",
    "httpstatus",
    "response.status",
    "http.response.statuscode",
    "http.statuscode",
    "httprequest.status",
    "res.statuscode",
    "httpstatuscode",
    "code",
    "originstatus",
    "st",
];

/// The method of the request, or its first line.
const METHOD: [&str; 14] = [
    "method",
    "requestmethod",
    "httpmethod",
    "csmethod",
    "clientrequestmethod",
    "request.method",
    "http.request.method",
    "httprequest.requestmethod",
    "http.method",
    "req.method",
    "verb",
    "request",
    "requestline",
    "m",
];

/// The bytes of the response.
const BYTES: [&str; 15] = [
    "bytes",
    "bodybytessent",
    "bytessent",
    "size",
    "responsesize",
    "sentbytes",
    "bytesout",
    "scbytes",
    "edgeresponsebytes",
    "downstreamcontentsize",
    "originatingresponsesize",
    "httprequest.responsesize",
    "http.response.body.bytes",
    "http.response.bytes",
    "responsebytes",
];

/// The other names of a field that any log may have under different names.
pub fn aliases(field: &str) -> &'static [&'static str] {
    match field {
        "status" => &STATUS,
        "method" => &METHOD,
        "bytes" => &BYTES,
        _ => &[],
    }
}

/// Writes a name without case, `_` and `-`.
pub fn normal(name: &str) -> String {
    let kept = name
        .chars()
        .filter(|character| !matches!(character, '_' | '-'));
    kept.map(|character| character.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_normal_names_once() {
        let tables: [&[&str]; 10] = [
            &TIME, &PEER, &FORWARDED, &MESSAGE, &PATH, &USER, &AGENT, &STATUS, &METHOD, &BYTES,
        ];
        for table in tables {
            for (at, name) in table.iter().enumerate() {
                assert_eq!(normal(name), *name);
                assert!(!table[..at].contains(name), "{name}");
            }
        }
        assert_eq!(normal("X-Forwarded_For"), "xforwardedfor");
    }
}
