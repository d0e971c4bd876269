//! Each format, without options, gives the counts of the requests that were written in it.

use serde_json::{Value, json};

use crate::program;
use crate::requests::{LoggedRequest, REFUSED, folder, requests, sample};

const QUOTA: [&str; 5] = ["--quota", "6/min burst 4", "--by", "ip", "--json"];

/// Replays a text, and checks that all clients were recognized.
fn check_with(name: &str, text: &[u8], options: &[&str]) {
    let args = [&["replay", "-"][..], &QUOTA, options].concat();
    let report = program::json(&args, text);
    let counts = ["requests", "keys", "refused", "skipped", "late"];
    let counts = counts.map(|count| report[count].as_u64().unwrap());
    assert_eq!(counts, [400, 12, REFUSED, 0, 0], "{name}");
    assert_eq!(report["warnings"], json!([]), "{name}");
}

/// The time as a float, as some programs write it.
#[expect(clippy::cast_precision_loss, reason = "exact to a millisecond")]
fn seconds(request: &LoggedRequest) -> f64 {
    request.millis as f64 / 1e3
}

fn check(name: &str, text: &str) {
    check_with(name, text.as_bytes(), &[]);
}

/// Writes each request by `write` and checks the text.
fn check_lines(name: &str, write: impl Fn(&LoggedRequest) -> String) {
    let lines: String = requests()
        .iter()
        .map(|request| write(request) + "\n")
        .collect();
    check(name, &lines);
}

#[test]
fn samples() {
    let mut count = 0;
    for name in program::files(&folder()) {
        check(&name, &sample(name.strip_suffix(".gz").unwrap()));
        count += 1;
    }
    assert_eq!(count, 32);
}

#[test]
fn prefixes() {
    let text = LoggedRequest::combined;
    check_lines("CRI of an access log with JSON", |r| {
        let time = r.time("%Y-%m-%dT%H:%M:%S.%3f000000Z");
        format!(
            "{time} stderr F {}",
            json!({"ts": r.millis, "client_ip": r.client})
        )
    });
    check_lines("compose", |r| format!("web-1  | {}", text(r)));
    check_lines("compose v1", |r| format!("proxy_web_1    | {}", text(r)));
    check_lines("compose with times", |r| {
        format!(
            "web-1  | {} {}",
            r.time("%Y-%m-%dT%H:%M:%S.%3f000000Z"),
            text(r)
        )
    });
    check_lines("kubectl --prefix", |r| {
        format!("[pod/web-5d4f8/nginx] {}", text(r))
    });
    check_lines("kubectl --timestamps", |r| {
        format!("{} {}", r.time("%Y-%m-%dT%H:%M:%S.%3f000000Z"), text(r))
    });
    check_lines("kubectl with both", |r| {
        let time = r.time("%Y-%m-%dT%H:%M:%S.%3fZ");
        format!("[pod/web-5d4f8/nginx] {time} {}", text(r))
    });
    check_lines("RFC 3164 without a host", |r| {
        format!("<190>{} nginx: {}", r.time("%b %e %H:%M:%S"), text(r))
    });
    check_lines("RFC 5424", |r| {
        let time = r.time("%Y-%m-%dT%H:%M:%S.%3fZ");
        format!("<190>1 {time} web1 nginx 812 - - {}", text(r))
    });
    check_lines("RFC 5424 with data", |r| {
        let data = "[meta sequenceId=\"7\" x=\"a\\]b\"][origin ip=\"10.9.9.9\"]";
        let time = r.time("%Y-%m-%dT%H:%M:%S.%3f+00:00");
        format!(
            "<190>1 {time} web1 nginx - access {data} \u{feff}{}",
            text(r)
        )
    });
    check_lines("rsyslog's own files", |r| {
        format!(
            "{} web1 nginx: {}",
            r.time("%Y-%m-%dT%H:%M:%S.%6f+00:00"),
            text(r)
        )
    });
    check_lines("journalctl -o short-iso", |r| {
        format!(
            "{} web1 nginx[812]: {}",
            r.time("%Y-%m-%dT%H:%M:%S+0000"),
            text(r)
        )
    });
    check_lines("journalctl -o short-precise", |r| {
        format!(
            "{} web1 nginx[812]: {}",
            r.time("%b %d %H:%M:%S.%6f"),
            text(r)
        )
    });
    check_lines("journalctl -o short-full", |r| {
        format!(
            "{} web1 nginx[812]: {}",
            r.time("%a %Y-%m-%d %H:%M:%S UTC"),
            text(r)
        )
    });
    check_lines("journalctl -o short-unix", |r| {
        format!(
            "{}.{:03}000 web1 nginx[812]: {}",
            r.millis / 1_000,
            r.millis % 1_000,
            text(r)
        )
    });
    check_lines("journalctl -o json", |r| journal(r, &Value::from(text(r))));
    check_lines("journalctl -o json of bytes", |r| {
        journal(r, &Value::from(text(r).into_bytes()))
    });
    check_lines("Docker around JSON", |r| {
        let line = json!({"time": r.time("%Y-%m-%dT%H:%M:%SZ"), "remote_addr": r.client});
        json!({"log": format!("{line}\n"), "stream": "stdout", "time": "2024-03-10T01:00:00Z"})
            .to_string()
    });
    check_lines("a JSON line without a time of its own", |r| {
        let line = json!({"remote_addr": r.client}).to_string();
        let time = r.time("%Y-%m-%dT%H:%M:%S.%3fZ");
        json!({"log": line, "stream": "stdout", "time": time}).to_string()
    });
}

fn journal(request: &LoggedRequest, message: &Value) -> String {
    let micros = (request.millis * 1_000).to_string();
    let fields = json!({
        "__REALTIME_TIMESTAMP": micros, "_HOSTNAME": "web1", "SYSLOG_IDENTIFIER": "nginx",
        "PRIORITY": "6", "MESSAGE": message,
    });
    fields.to_string()
}

#[test]
fn relatives_of_the_common_format() {
    let rest = |r: &LoggedRequest| r.combined()[r.client.len()..].to_owned();
    check_lines("a fraction of a second", |r| {
        let time = r.time("%d/%b/%Y:%H:%M:%S.%6f +0000");
        format!(
            "{} - - [{time}] \"{}\" {} {}",
            r.client,
            r.line(),
            r.status,
            r.bytes
        )
    });
    check_lines("ports", |r| {
        format!("{}:{}{}", r.bracketed(), 50_000 + r.millis % 999, rest(r))
    });
    check_lines("mapped addresses", |r| {
        let prefix = if r.client.contains(':') {
            ""
        } else {
            "::ffff:"
        };
        prefix.to_owned() + &r.combined()
    });
    check_lines("a virtual host with an address", |r| {
        format!("10.0.0.5:80 {}", r.combined())
    });
    check_lines("a list before the peer", |r| {
        format!("{}, 10.0.0.2 10.0.0.1{}", r.client, rest(r))
    });
    check_lines("the peer before a list", |r| {
        format!("10.0.0.1 {}{}", r.client, rest(r))
    });
    check_lines("nginx behind a proxy", |r| {
        format!("10.0.0.1{} \"{}\"", rest(r), r.client)
    });
    check_lines("stern", |r| format!("web-5d4f8 nginx {}", r.combined()));
    check_lines("HAProxy", |r| {
        // HAProxy writes no brackets, and its ports may be short.
        let time = r.time("%d/%b/%Y:%H:%M:%S.%3f");
        format!(
            "{}:443 [{time}] http-in static/srv1 10/0/30/69/109 {} {} - - ---- 1/1/1/1/0 0/0 \
             {{www.example.com}} {{}} \"{}\"",
            r.client,
            r.status,
            r.bytes,
            r.line()
        )
    });
    check_lines("HAProxy's TCP format", |r| {
        let time = r.time("%d/%b/%Y:%H:%M:%S.%3f");
        format!(
            "{}:33317 [{time}] fnt bck/srv1 0/0/5007 {} -- 1/1/1/1/0 0/0",
            r.client, r.bytes
        )
    });
    check_lines("zeros of a truncated file", |r| {
        format!("\0\0\0{}", r.combined())
    });
}

#[test]
fn formats_of_proxies_and_clouds() {
    check_lines("Amazon S3", |r| {
        format!(
            "79a59df900b949e5 examplebucket [{}] {} arn:aws:iam::123456789012:user/x 3E57427F3EX \
             REST.GET.OBJECT key \"{}\" {} - {} 1000 7 6 \"-\" \"{}\" - s9lz= SigV4 ECDHE \
             AuthHeader examplebucket.s3.amazonaws.com TLSV1.2 - -",
            r.time("%d/%b/%Y:%H:%M:%S +0000"),
            r.client,
            r.line(),
            r.status,
            r.bytes,
            r.agent
        )
    });
    check_lines("AWS classic load balancer", |r| {
        format!(
            "{} my-elb {}:2817 10.0.0.1:80 0.000073 0.001048 0.000057 {} 200 0 {} \
             \"{} http://www.example.com:80{} HTTP/1.1\" \"{}\" - -",
            r.time("%Y-%m-%dT%H:%M:%S.%6fZ"),
            r.bracketed(),
            r.status,
            r.bytes,
            r.method,
            r.path,
            r.agent
        )
    });
    check_lines("AWS network load balancer", |r| {
        format!(
            "tls 2.0 {} net/my-nlb/c6e77e28c25b2234 g3d4b5e8bb8464cd {}:51341 172.100.100.185:443 \
             5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a1 - ECDHE tlsv12 - x - -",
            r.time("%Y-%m-%dT%H:%M:%S"),
            r.bracketed()
        )
    });
    check_lines("Envoy with another peer", |r| {
        format!(
            "[{}] \"{}\" {} - 0 {} 39 39 \"{},10.0.0.9\" \"{}\" \"cc21\" \"api\" \"10.0.35.28:80\"",
            r.time("%Y-%m-%dT%H:%M:%S.%3fZ"),
            r.line(),
            r.status,
            r.bytes,
            r.client,
            r.agent
        )
    });
    for (name, forwarded) in [("Istio", false), ("Istio at the edge", true)] {
        check_lines(name, |r| {
            let list = if forwarded {
                r.client.clone()
            } else {
                "-".to_owned()
            };
            let peer = if forwarded {
                "10.1.1.1:4".to_owned()
            } else {
                r.bracketed() + ":4411"
            };
            format!(
                "[{}] \"{}\" {} - via_upstream - \"-\" 0 {} 39 39 \"{list}\" \"{}\" \"cc21\" \
                 \"api\" \"10.0.0.5:80\" outbound|80||api 10.0.0.4:5 10.0.0.4:8080 {peer} - default",
                r.time("%Y-%m-%dT%H:%M:%S.%3fZ"),
                r.line(),
                r.status,
                r.bytes,
                r.agent
            )
        });
    }
}

#[test]
fn formats_with_columns() {
    check_lines("Squid", |r| {
        format!(
            "{}.{:03} {:6} {} TCP_MISS/{} {} {} http://www.example.com{} - DIRECT/10.0.0.1 -",
            r.millis / 1_000,
            r.millis % 1_000,
            39,
            r.client,
            r.status,
            r.bytes,
            r.method,
            r.path
        )
    });
    let header = "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n\
        #Date: 2024-03-09 23:50:00\r\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query \
        s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus \
        sc-win32-status time-taken\r\n";
    let line = |r: &LoggedRequest| {
        format!(
            "{} 10.0.0.4 {} {} - 443 - {} {} - {} 0 0 39\r\n",
            r.time("%Y-%m-%d %H:%M:%S"),
            r.method,
            r.path,
            r.client,
            r.agent.replace(' ', "+"),
            r.status
        )
    };
    let lines: Vec<String> = requests().iter().map(line).collect();
    // IIS writes its header again when it starts.
    check(
        "IIS",
        &(header.to_owned() + &lines[..200].concat() + header + &lines[200..].concat()),
    );
    let behind = |r: &LoggedRequest| {
        format!(
            "{}\t10.0.0.1\t{}, 10.0.0.7\n",
            r.time("%Y-%m-%d\t%H:%M:%S"),
            r.client
        )
    };
    let lines: String = requests().iter().map(behind).collect();
    check(
        "W3C behind a proxy",
        &format!("#Fields: date time c-ip X-Forwarded-For\n{lines}"),
    );
    let storage = |r: &LoggedRequest| {
        format!(
            "\"{}000\",\"{}\",\"1\",\"\",\"{}\",\"{}\"\n",
            r.millis, r.client, r.method, r.path
        )
    };
    let lines: String = requests().iter().map(storage).collect();
    let header =
        "\"time_micros\",\"c_ip\",\"c_ip_type\",\"c_ip_region\",\"cs_method\",\"cs_uri\"\n";
    let args = [&["replay", "-"][..], &QUOTA].concat();
    let report = program::json(&args, (header.to_owned() + &lines).as_bytes());
    assert_eq!(
        [&report["refused"], &report["skipped"]],
        [REFUSED, 1],
        "Google Cloud Storage"
    );
}

#[test]
fn json_formats() {
    let iso = |r: &LoggedRequest| r.time("%Y-%m-%dT%H:%M:%S.%3fZ");
    let with = |name: &str, write: &dyn Fn(&LoggedRequest) -> Value| {
        check_lines(name, |r| write(r).to_string());
    };
    let cloudflare = |r: &LoggedRequest, time: Value| {
        json!({
            "ClientIP": r.client, "ClientRequestHost": "example.com", "EdgeEndTimestamp": "x",
            "ClientRequestMethod": r.method, "ClientRequestURI": r.path, "RayID": "7",
            "EdgeResponseStatus": r.status, "EdgeStartTimestamp": time, "OriginIP": "10.0.0.1",
        })
    };
    with("Cloudflare Logpush", &|r| {
        cloudflare(r, Value::from(iso(r)))
    });
    with("Cloudflare Logpush, nanoseconds", &|r| {
        cloudflare(r, Value::from(r.millis * 1_000_000))
    });
    with("Cloudflare Logpush, seconds", &|r| {
        cloudflare(r, Value::from(r.millis / 1_000))
    });
    with("Istio", &|r| {
        json!({
            "authority": "api", "bytes_sent": r.bytes, "duration": 39, "method": r.method,
            "downstream_local_address": "10.0.0.4:8080", "path": r.path, "start_time": iso(r),
            "downstream_remote_address": r.bracketed() + ":4411", "x_forwarded_for": null,
            "upstream_host": "10.0.0.5:80", "requested_server_name": null,
        })
    });
    with("an old Caddy", &|r| {
        let address = format!("{}:{}", r.bracketed(), 40_000 + r.millis % 977);
        json!({"ts": seconds(r), "request": {"remote_addr": address, "uri": r.path}})
    });
    with(
        "nginx with a port",
        &|r| json!({"time_local": r.time("%d/%b/%Y:%H:%M:%S +0000"), "remote_addr": r.bracketed() + ":50000"}),
    );
    with("nginx behind a proxy", &|r| {
        let list = match r.millis % 200 {
            0 => format!("6.6.6.6, {}", r.client),
            _ => format!("{}, 10.0.0.3", r.client),
        };
        json!({
            "msec": format!("{}.{:03}", r.millis / 1_000, r.millis % 1_000), "request_time": "0.039",
            "remote_addr": "10.0.0.1", "http_x_forwarded_for": list,
        })
    });
    with("headers in arrays", &|r| {
        let headers = json!({"X-Forwarded-For": [r.client, "10.0.0.3"], "Accept": ["*/*"]});
        json!({"ts": r.millis, "request": {"remote_ip": "10.0.0.1", "headers": headers}})
    });
    with(
        "Kubernetes audit",
        &|r| json!({"requestReceivedTimestamp": 1, "timestamp": iso(r), "sourceIPs": [r.client]}),
    );
    with(
        "ECS with dots",
        &|r| json!({"@timestamp": iso(r), "client.ip": r.client, "source.ip": "10.0.0.1"}),
    );
    with(
        "AWS WAF",
        &|r| json!({"timestamp": r.millis, "httpRequest": {"clientIp": r.client}}),
    );
    with(
        "AWS API Gateway",
        &|r| json!({"requestTime": r.time("%d/%b/%Y:%H:%M:%S +0000"), "ip": r.client, "status": 200}),
    );
    with(
        "Fluent Bit",
        &|r| json!({"date": seconds(r), "log": r.combined()}),
    );
    with(
        "a date and a time",
        &|r| json!({"date": r.time("%Y-%m-%d"), "time": r.time("%H:%M:%S"), "ip": r.client}),
    );
    let objects: Vec<Value> = requests()
        .iter()
        .map(|r| json!({"timestamp": iso(r), "httpRequest": {"remoteIp": r.client, "requestUrl": r.path}}))
        .collect();
    check(
        "an array over many lines",
        &serde_json::to_string_pretty(&objects).unwrap(),
    );
    check(
        "an array on one line",
        &serde_json::to_string(&objects).unwrap(),
    );
    let pretty = objects
        .iter()
        .map(|object| serde_json::to_string_pretty(object).unwrap() + "\n");
    check("objects over many lines", &pretty.collect::<String>());
}

/// Keys other than the address come from the same fields.
#[test]
fn other_keys() {
    let paths: std::collections::BTreeSet<String> =
        requests().into_iter().map(|request| request.path).collect();
    let count = |name: &str, by: &str| {
        let text = sample(name);
        let args = ["replay", "-", "--quota", "6/min", "--json", "--by", by];
        let report = program::json(&args, text.as_bytes());
        assert_eq!(report["requests"], 400, "{name} {by}");
        report["keys"].as_u64().unwrap()
    };
    for name in [
        "apache_vhost_combined.log",
        "aws_alb.log",
        "caddy.json",
        "cloudfront.log",
        "docker_jsonfile.log",
        "ecs.json",
        "envoy.json",
        "envoy.log",
        "gcp_lb.json",
        "haproxy.log",
        "nginx_json_usual.json",
        "syslog_pri.log",
        "traefik.json",
    ] {
        assert_eq!(count(name, "path"), paths.len() as u64, "{name}");
    }
    let agents: std::collections::BTreeSet<String> = requests()
        .into_iter()
        .map(|request| request.agent)
        .collect();
    for name in [
        "aws_alb.log",
        "caddy.json",
        "envoy.log",
        "nginx_combined.log",
        "traefik.json",
    ] {
        assert_eq!(count(name, "agent"), agents.len() as u64, "{name}");
    }
    for (name, by) in [
        ("apache_vhost_combined.log", "host"),
        ("caddy.json", "request.host"),
        ("aws_alb.log", "elb"),
        ("cloudfront.log", "x-edge-location"),
        ("caddy.json", "none"),
    ] {
        assert_eq!(count(name, by), 1, "{name} {by}");
    }
    for (name, by) in [
        ("nginx_combined.log", "method"),
        ("cloudfront.log", "cs-method"),
    ] {
        assert!(count(name, by) > 1, "{name} {by}");
    }
}

#[test]
fn formats_of_the_command_line() {
    let apart = |r: &LoggedRequest| {
        format!(
            "{}|{}|{}|{}|{} ms\n",
            r.time("%m/%d/%y"),
            r.time("%H.%M.%S"),
            r.client,
            r.line(),
            r.millis % 100
        )
    };
    let lines: String = requests().iter().map(apart).collect();
    let goaccess = "%d|%t|%h|%r|%L ms";
    let formats = [
        "--log-format",
        goaccess,
        "--date-format",
        "%m/%d/%y",
        "--time-format",
        "%H.%M.%S",
    ];
    check_with("GoAccess with formats", lines.as_bytes(), &formats);
    for (name, sample_name, format) in [
        (
            "combined",
            "nginx_combined.log",
            "%h %^[%d:%t %^] \"%r\" %s %b \"%R\" \"%u\"",
        ),
        (
            "a zone",
            "tz_plus0530.log",
            "%h %^[%d:%t %^] \"%r\" %s %b \"%R\" \"%u\"",
        ),
        (
            "a list",
            "xff_first.log",
            "~h{, } - %^[%d:%t %^] \"%r\" %s %b",
        ),
        (
            "vcombined",
            "apache_vhost_combined.log",
            "%v:%^ %h %^[%d:%t %^] \"%r\" %s %b",
        ),
        ("seconds", "nginx_msec.log", "%h - %e [%x] \"%r\" %s"),
        ("a name", "nginx_combined.log", "COMBINED"),
        ("another name", "cloudfront.log", "CLOUDFRONT"),
        (
            "nginx",
            "nginx_combined.log",
            "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent",
        ),
        (
            "nginx in a file",
            "nginx_iso8601.log",
            "'$remote_addr - $remote_user [$time_iso8601] '\n    '\"$request\" $status'",
        ),
        (
            "JSON of nginx",
            "nginx_json_usual.json",
            "{\"time\": \"$time_iso8601\", \"remote_addr\": \"$remote_addr\", ",
        ),
    ] {
        check_with(
            name,
            sample(sample_name).as_bytes(),
            &["--log-format", format],
        );
    }
    let local = |r: &LoggedRequest| format!("{} [{}]\n", r.client, r.time("%d/%b/%Y:%H:%M:%S"));
    let lines: String = requests().iter().map(local).collect();
    let log_format = ["--log-format", "$remote_addr [$time_local]"];
    check_with("no zone", lines.as_bytes(), &log_format);
    let args = [
        &["replay", "-"][..],
        &QUOTA,
        &log_format,
        &["--timezone", "America/St_Johns"],
    ];
    let report = program::json(&args.concat(), lines.as_bytes());
    assert_eq!(report["refused"], REFUSED);
    let first = seconds(&requests()[0]).floor();
    assert_eq!(
        report["first"],
        first + 12_600.0,
        "3:30 hours behind UTC in winter"
    );
}
